// KIND: growing
struct $branch {
    struct $branch *child[16];
    int ends;
};

static struct $branch $top;

static void $insert(unsigned long word) {
    struct $branch *at = &$top;
    for (int k = 0; k < 8; k++, word >>= 4) {
        struct $branch **next = &at->child[word & 15];
        if (!*next) {
            *next = (struct $branch *)$alloc(sizeof **next);  //@ here $insert
            memset(*next, 0, sizeof **next);
        }
        at = *next;
    }
    at->ends++;
}

void $op(long i, double passed) {
    (void)passed;
    $insert((unsigned long)i * 2654435761UL);
}
