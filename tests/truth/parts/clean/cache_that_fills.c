static char *$cache[$many * 2];
static long $hits;

static void $look_up(long key) {
    if (!$cache[key]) {
        $cache[key] = (char *)$alloc($size);
        memset($cache[key], 'c', $size);
    } else {
        $hits++;
    }
}

/* Filled evenly until $fraction percent of the run has passed. */
void $op(long i, double passed) {
    (void)i;
    double full = passed * 100.0 / $fraction;
    long upto = (long)((full < 1.0 ? full : 1.0) * ($many * 2 - 1));
    for (long key = upto > 3 ? upto - 3 : 0; key <= upto; key++)
        $look_up(key);
}
