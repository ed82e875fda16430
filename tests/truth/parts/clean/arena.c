struct $chunk {
    struct $chunk *next;
    size_t used;
    char room[16384];
};

static struct $chunk *$chunks, *$at;

static void *$take(size_t size) {
    if (!$at || $at->used + size > sizeof $at->room) {
        struct $chunk *next = $at ? $at->next : $chunks;
        if (!next) {
            next = (struct $chunk *)$alloc(sizeof *next);
            next->next = NULL;
            if ($at)
                $at->next = next;
            else
                $chunks = next;
        }
        next->used = 0;
        $at = next;
    }
    $at->used += size;
    return $at->room + $at->used - size;
}

/* Chunks are kept and used again; the largest round decides how many there are. */
void $op(long i, double passed) {
    (void)passed;
    if (i % 40 == 0)
        $at = NULL;
    int count = (int)(i * 7919 % $few) + 1;
    for (int k = 0; k < count; k++)
        memset($take($size / 2 + 8), 'a', 8);
}
