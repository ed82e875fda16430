// FREES: through the wrapper
void $op(long i, double passed) {
    (void)passed;
    for (int k = 0; k < 4; k++) {
        char *$scratch = (char *)$alloc($size * 4 + (size_t)(i * 131 + k) % 5000);
        memset($scratch, 0, 16);
        touch($scratch);
        $release($scratch);
    }
}
