// FREES: through the wrapper
struct $request {
    char *head, *body;
};

static struct $request *$read(long i) {
    struct $request *r = (struct $request *)$alloc(sizeof *r);
    r->head = (char *)$alloc(64 + (size_t)i % 60);
    r->body = (char *)$alloc($size + (size_t)(i * 37) % 2000);
    memset(r->head, 'h', 64);
    memset(r->body, 'b', $size);
    return r;
}

static void $end(struct $request *r) {
    $release(r->body);
    $release(r->head);
    $release(r);
}

static struct $request *$open[$few];

void $op(long i, double passed) {
    (void)passed;
    long at = i % $few;
    if ($open[at])
        $end($open[at]);
    $open[at] = $read(i);
}
