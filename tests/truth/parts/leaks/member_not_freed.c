// KIND: lost
struct $record {
    long number;
    char *text;
};

static struct $record *$make(long i) {
    struct $record *r = (struct $record *)$alloc(sizeof *r);  //@ also $make
    r->number = i;
    r->text = (char *)$alloc($size);  //@ here $make
    memset(r->text, 't', $size);
    return r;
}

void $op(long i, double passed) {
    (void)passed;
    struct $record *r = $make(i);
    touch(r);
    $release(r);
}
