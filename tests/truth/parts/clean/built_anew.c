static char *$page;
static size_t $length;

static void $append(const char *piece) {
    size_t n = strlen(piece);
    char *longer = (char *)realloc($page, $length + n + 1);
    if (!longer)
        abort();
    $page = longer;
    memcpy($page + $length, piece, n + 1);
    $length += n;
}

/* One page for each call, given back whole. */
void $op(long i, double passed) {
    (void)passed;
    char piece[48];
    for (int k = 0; k < $some; k++) {
        snprintf(piece, sizeof piece, "<td>%ld.%d</td>", i, k);
        $append(piece);
    }
    touch($page);
    free($page);
    $page = NULL;
    $length = 0;
}
