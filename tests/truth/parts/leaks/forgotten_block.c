// KIND: lost
static void $work(long i) {
    char *$block = (char *)$alloc($size + i % 7);  //@ here $work
    memset($block, 'x', $size);
    touch($block);
}

void $op(long i, double passed) {
    (void)passed;
    $work(i);
}
