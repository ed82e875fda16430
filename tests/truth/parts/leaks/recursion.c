// KIND: stack-growth
// ALONE: it recurses until the run is over
int more(void);

static long $depth;

static int $descend(long level) {
    volatile char room[$size / 8 * 8 + 64];
    room[0] = (char)level;  //@ here $descend
    $depth = level;
    if (!more())
        return room[0];
    return $descend(level + 1) + room[0];
}

void $op(long i, double passed) {
    (void)passed;
    $depth = $descend(i);
}
