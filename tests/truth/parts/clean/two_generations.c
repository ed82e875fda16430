// FREES: through the wrapper
static char *$young[$some], *$old[$some];

/* A new generation replaces the one before the last. */
void $op(long i, double passed) {
    (void)passed;
    long at = i % $some;
    if (at == 0)
        for (int k = 0; k < $some; k++) {
            $release($old[k]);
            $old[k] = $young[k];
            $young[k] = NULL;
        }
    $young[at] = (char *)$alloc($size);
    memset($young[at], 'y', $size);
}
