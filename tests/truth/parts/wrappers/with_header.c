struct $head {
    size_t size;
    long mark;
};

static size_t $in_use;

void *$alloc(size_t size) {
    struct $head *h = (struct $head *)calloc(1, sizeof *h + size);  //@ wrapper $alloc
    if (!h)
        abort();
    h->size = size;
    $in_use += size;
    return h + 1;
}

void $release(void *p) {
    if (!p)
        return;
    struct $head *h = (struct $head *)p - 1;
    $in_use -= h->size;
    free(h);
}
