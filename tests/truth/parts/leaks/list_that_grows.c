// KIND: growing
struct $item {
    struct $item *next;
    char *name;
};

static struct $item *$first;

static char *$name_of(long i) {
    char *name = (char *)$alloc($size);  //@ here $name_of
    snprintf(name, $size, "%ld", i);
    return name;
}

static void $append(long i) {
    struct $item *n = (struct $item *)$alloc(sizeof *n);  //@ also $append
    n->name = $name_of(i);  //@ also $append
    n->next = $first;
    $first = n;
}

void $op(long i, double passed) {
    (void)passed;
    $append(i);
}
