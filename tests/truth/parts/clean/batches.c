// FREES: through the wrapper
static char *$batch[$many];
static int $filled;

/* Takes all at once, works for a while, gives all back. */
void $op(long i, double passed) {
    (void)passed;
    long phase = i % ($few * 25);
    if (phase == 0)
        for ($filled = 0; $filled < $many; $filled++) {
            $batch[$filled] = (char *)$alloc($size);
            memset($batch[$filled], 'b', $size);
        }
    if (phase == $few * 12)
        while ($filled > 0)
            $release($batch[--$filled]);
}
