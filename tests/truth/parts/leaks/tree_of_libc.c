// KIND: growing
#include <search.h>

static void *$root;

static int $order(const void *a, const void *b) {
    return *(const long *)a < *(const long *)b ? -1 : *(const long *)a > *(const long *)b;
}

static void $remember(long key) {
    long *copy = (long *)$alloc(sizeof *copy + $size);  //@ here $remember
    *copy = key;
    tsearch(copy, &$root, $order);  //@ also $remember
}

void $op(long i, double passed) {
    (void)passed;
    $remember(i * 7919 % 1000003);
}
