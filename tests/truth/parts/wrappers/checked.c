void *$alloc(size_t size) {
    void *p = malloc(size);  //@ wrapper $alloc
    if (!p)
        abort();
    return p;
}

void $release(void *p) { free(p); }
