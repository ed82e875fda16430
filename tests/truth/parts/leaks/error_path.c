// KIND: lost
static int $parse(long i) {
    char *$line = (char *)$alloc($size);  //@ here $parse
    memset($line, 'a' + (int)(i % 20), $size);
    touch($line);
    if (i % 3 == 0)
        return -1;
    $release($line);
    return 0;
}

static int $errors;

void $op(long i, double passed) {
    (void)passed;
    if ($parse(i) < 0)
        $errors++;
}
