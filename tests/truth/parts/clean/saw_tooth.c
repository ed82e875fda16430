// FREES: through the wrapper
struct $record {
    struct $record *next;
    char text[$size];
};

static struct $record *$buffer;
static long $flushed = -1;

static void $flush(void) {
    while ($buffer) {
        struct $record *next = $buffer->next;
        $release($buffer);
        $buffer = next;
    }
}

static void $add(void) {
    struct $record *r = (struct $record *)$alloc(sizeof *r);
    memset(r->text, 'r', sizeof r->text);
    r->next = $buffer;
    $buffer = r;
}

/* Collects, and gives all back $teeth times in the run. */
void $op(long i, double passed) {
    (void)i;
    long tooth = (long)(passed * $teeth + 0.01 * $start);
    if (tooth != $flushed) {
        $flush();
        $flushed = tooth;
    }
    $add();
}
