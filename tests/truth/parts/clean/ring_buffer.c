// FREES: through the wrapper
static char *$ring[$some];

/* The oldest is given back when a new one comes. */
void $op(long i, double passed) {
    (void)passed;
    long at = i % $some;
    $release($ring[at]);
    size_t size = $size + (size_t)(i * 31 % 97);
    $ring[at] = (char *)$alloc(size);
    memset($ring[at], 'r', size);
}
