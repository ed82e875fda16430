static char *$text;
static size_t $length, $room;

static void $write_line(const char *line, size_t size) {
    if ($length + size > $room) {
        $room = $length + size + 4096;
        $text = (char *)realloc($text, $room);
    }
    memcpy($text + $length, line, size);
    $length += size;
}

static void $rotate(void) {
    free($text);
    $text = NULL;
    $length = $room = 0;
}

void $op(long i, double passed) {
    (void)passed;
    char line[200];
    memset(line, 'l', sizeof line);
    for (int k = 0; k < $few; k++)
        $write_line(line, 60 + (size_t)(i * 31 + k) % 140);
    if ($length > $few * 8000)
        $rotate();
}
