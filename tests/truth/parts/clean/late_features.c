static char *$features[$few];

/* Some things are set up when they are first asked for: ever more rarely. */
void $op(long i, double passed) {
    int at = (int)($few * (1 - (1 - passed) * (1 - passed)));
    (void)i;
    if (at < $few && !$features[at]) {
        $features[at] = (char *)$alloc($size * 4);
        memset($features[at], 'f', $size * 4);
    }
    touch($features);
}
