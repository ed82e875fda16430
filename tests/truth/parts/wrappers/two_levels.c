static long $counted;

static void *$inner(size_t size) {
    void *p = malloc(size ? size : 1);  //@ wrapper $inner
    if (p)
        $counted++;
    return p;
}

void *$alloc(size_t size) {
    void *p = $inner(size);  //@ wrapper $alloc
    if (!p)
        abort();
    memset(p, 0, size);
    return p;
}

void $release(void *p) {
    if (p)
        $counted--;
    free(p);
}
