static char *$text;
static size_t $used, $room;

static void $add(const char *piece) {
    size_t n = strlen(piece);
    if ($used + n + 1 > $room) {
        $room = ($used + n + 1) * 2;
        $text = (char *)realloc($text, $room);
        if (!$text)
            abort();
    }
    memcpy($text + $used, piece, n + 1);
    $used += n;
}

/* Built, sent, and begun anew; the room is kept. */
void $op(long i, double passed) {
    (void)passed;
    if (i % $some == 0)
        $used = 0;
    char piece[32];
    snprintf(piece, sizeof piece, "[%ld]", i * 7919 % 100003);
    $add(piece);
}
