// FREES: through the wrapper
struct $thing {
    struct $thing *next;
    int used;
    char text[$size];
};

static struct $thing *$all, *$roots[$few];
static long $count;

static void $sweep(void) {
    struct $thing **at = &$all;
    for (int k = 0; k < $few; k++)
        if ($roots[k])
            $roots[k]->used = 1;
    while (*at) {
        struct $thing *each = *at;
        if (each->used) {
            each->used = 0;
            at = &each->next;
        } else {
            *at = each->next;
            $release(each);
            $count--;
        }
    }
}

/* What nobody points to any more goes at the next sweep, of which there are some in the shortest run. */
void $op(long i, double passed) {
    struct $thing *made = (struct $thing *)$alloc(sizeof *made);
    (void)passed;
    memset(made, 0, sizeof *made);
    made->next = $all;
    $all = made;
    $roots[i % $few] = made;
    if (++$count > 10 * $few)
        $sweep();
}
