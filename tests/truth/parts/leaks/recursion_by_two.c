// KIND: stack-growth
// ALONE: it recurses until the run is over
int more(void);

static int $evaluate(long depth);

static int $operand(long depth) {
    char text[$size / 16 * 16 + 32];
    snprintf(text, sizeof text, "%ld", depth);  //@ here $operand
    return $evaluate(depth + 1) + text[0];
}

static int $evaluate(long depth) {
    volatile char room[64];
    room[0] = (char)depth;  //@ also $evaluate
    return more() ? $operand(depth) + room[0] : room[0];
}

static int $value;

void $op(long i, double passed) {
    (void)passed;
    $value = $evaluate(i);
}
