static void *$plain(size_t size) {
    void *p = malloc(size);  //@ wrapper $plain
    touch(p);
    return p;
}

static void *(*volatile $hook)(size_t) = $plain;

void *$alloc(size_t size) {
    void *p = $hook(size);  //@ wrapper $alloc
    if (!p)
        abort();
    return p;
}

void $release(void *p) { free(p); }
