// FREES: through the wrapper
struct $page {
    long key;
    char *data;
};

static struct $page $pages[$some];
static long $turn;

static void $load(struct $page *page, long key) {
    $release(page->data);
    page->key = key;
    page->data = (char *)$alloc($size + (size_t)(key * 7919) % 900);
    memset(page->data, 'd', $size);
}

void $op(long i, double passed) {
    (void)passed;
    $load(&$pages[$turn++ % $some], i);
    $load(&$pages[(unsigned long)i * 2654435761u % $some], i);
}
