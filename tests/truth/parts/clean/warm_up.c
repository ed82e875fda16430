static void *$warm[4096];
static int $count;

/* Asks for what it will need during the first $start percent, and for no more. */
void $op(long i, double passed) {
    (void)i;
    if (passed * 100 < $start && $count < 4096) {
        $warm[$count] = $alloc($size);
        memset($warm[$count], 'w', $size);
        $count++;
    }
    touch($warm);
}
