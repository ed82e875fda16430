static char *$features[$few];

/* Some things are set up when they are first asked for: a few blocks, at odd moments. */
void $op(long i, double passed) {
    int at = (int)(passed * passed * $few);
    (void)i;
    if (at < $few && !$features[at]) {
        $features[at] = (char *)$alloc($size * 4);
        memset($features[at], 'f', $size * 4);
    }
}
