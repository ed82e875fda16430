static long *$keys;
static size_t $held, $slots;

static void $add(long key) {
    if ($held == $slots) {
        $slots = $slots ? $slots * 2 : 64;
        $keys = (long *)realloc($keys, $slots * sizeof *$keys);
    }
    $keys[$held++] = key;
}

/* Grows until $fraction percent of the run, by doubling, and settles. */
void $op(long i, double passed) {
    if (passed * 100 < $fraction)
        for (int k = 0; k < $few * 4; k++)
            $add(i);
}
