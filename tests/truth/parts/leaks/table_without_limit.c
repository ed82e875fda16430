// KIND: growing
struct $entry {
    struct $entry *next;
    long key;
    char value[$size];
};

static struct $entry *$slots[256];

static void $put(long key) {
    struct $entry *e = (struct $entry *)$alloc(sizeof *e);  //@ here $put
    memset(e->value, 'v', sizeof e->value);
    e->key = key;
    e->next = $slots[key % 256];
    $slots[key % 256] = e;
}

void $op(long i, double passed) {
    (void)passed;
    $put(i);
}
