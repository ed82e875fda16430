// KIND: lost
static long $read_all(const char *text, size_t size) {
    FILE *stream = fmemopen((void *)text, size, "r");
    char *$line = NULL;
    size_t room = 0;
    long lines = 0;
    while (getline(&$line, &room, stream) > 0)  //@ here $read_all
        lines++;
    touch($line);
    fclose(stream);
    return lines;
}

static long $lines;

void $op(long i, double passed) {
    (void)i;
    (void)passed;
    char text[$size + 2];
    memset(text, 'g', sizeof text);
    text[$size] = '\n';
    $lines += $read_all(text, $size + 1);
}
