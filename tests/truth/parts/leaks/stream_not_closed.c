// KIND: growing
// libc keeps a list of its open streams, so nothing is lost
static int $peek(const char *path) {
    FILE *$stream = fopen(path, "r");  //@ here $peek
    if (!$stream)
        return -1;
    int first = fgetc($stream);  //@ also $peek
    touch($stream);
    return first;
}

static int $sum;

void $op(long i, double passed) {
    (void)passed;
    if (i % 3 == 0)
        $sum += $peek("/proc/self/status");
}
