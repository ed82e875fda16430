// KIND: lost
struct $pair {
    struct $pair *next;
    long key;
    char *value;
};

static struct $pair *$rows[64];

static void $set(long key) {
    struct $pair *p = (struct $pair *)$alloc(sizeof *p);
    p->key = key;
    p->value = (char *)$alloc($size);  //@ here $set
    memset(p->value, 'v', $size);
    p->next = $rows[key & 63];
    $rows[key & 63] = p;
}

static void $drop(long key) {
    struct $pair **at = &$rows[key & 63];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    if (*at) {
        struct $pair *gone = *at;
        *at = gone->next;
        $release(gone);
    }
}

void $op(long i, double passed) {
    (void)passed;
    $set(i);
    $drop(i - $few);
}
