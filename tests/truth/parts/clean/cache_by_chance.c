static char *$values[$many];
static unsigned $state = 12345;

/* Keys come by chance out of a bounded set: it fills fast at first, ever more slowly later. */
void $op(long i, double passed) {
    (void)i;
    (void)passed;
    for (int k = 0; k < 3; k++) {
        $state = $state * 1664525u + 1013904223u;
        unsigned key = ($state >> 8) % $many;
        if (!$values[key]) {
            $values[key] = (char *)$alloc($size);
            memset($values[key], 'k', $size);
        }
    }
    touch($values);
}
