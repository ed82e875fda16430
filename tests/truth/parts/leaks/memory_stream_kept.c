// KIND: lost
static char *$render(long i) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);  //@ also $render
    if (!out)
        abort();
    for (int k = 0; k < $few; k++)
        fprintf(out, "row %ld of %d, %0*d;", i, k, $some, k);
    fclose(out);  //@ here $render
    return text;
}

static size_t $length;

void $op(long i, double passed) {
    (void)passed;
    $length += strlen($render(i));
}
