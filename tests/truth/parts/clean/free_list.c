struct $cell {
    struct $cell *next;
    char room[$size];
};

static struct $cell *$unused, *$queue;
static int $queued;

static struct $cell *$cell_new(void) {
    struct $cell *c = $unused;
    if (c)
        $unused = c->next;
    else
        c = (struct $cell *)$alloc(sizeof *c);
    return c;
}

/* Cells go back to a list of the program's own, never to the allocator. */
void $op(long i, double passed) {
    (void)passed;
    struct $cell *c = $cell_new();
    memset(c->room, (int)(i % 26), sizeof c->room);
    c->next = $queue;
    $queue = c;
    if (++$queued > $few + (int)(i * 7919 % $few))
        while ($queued > 0) {
            struct $cell *first = $queue;
            $queue = first->next;
            first->next = $unused;
            $unused = first;
            $queued--;
        }
}
