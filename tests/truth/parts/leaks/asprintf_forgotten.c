// KIND: lost
static int $describe(long i) {
    char *$text;
    int length = asprintf(&$text, "%0*ld", (int)$size, i);  //@ here $describe
    touch($text);
    return length;
}

static long $total;

void $op(long i, double passed) {
    (void)passed;
    $total += $describe(i);
}
