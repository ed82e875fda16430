// KIND: lost
struct $node {
    struct $node *next;
    char payload[$size];
};

static struct $node *$prepend(struct $node *head) {
    struct $node *n = (struct $node *)$alloc(sizeof *n);  //@ here $prepend
    memset(n->payload, 'p', sizeof n->payload);
    n->next = head;
    return n;
}

static struct $node *$current;
static int $length;

void $op(long i, double passed) {
    (void)i;
    (void)passed;
    $current = $prepend($current);
    touch($current);
    if (++$length == $few) {
        $current = NULL;
        $length = 0;
    }
}
