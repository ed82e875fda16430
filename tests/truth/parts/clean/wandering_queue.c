// FREES: through the wrapper
static void *$waiting[400];
static int $length = 0;
static unsigned $seed = 99;

static unsigned $chance(void) {
    $seed = $seed * 1103515245u + 12345u;
    return $seed >> 16 & 1023;
}

/* A queue's length goes up and down by chance, and never beyond its bound. */
void $op(long i, double passed) {
    (void)i;
    (void)passed;
    for (int k = 0; k < 6; k++) {
        if ($chance() < 512 && $length < 400) {
            $waiting[$length] = $alloc($size);
            memset($waiting[$length], 'q', $size);
            $length++;
        } else if ($length > 0) {
            $release($waiting[--$length]);
        }
    }
}
