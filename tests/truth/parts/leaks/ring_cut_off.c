// KIND: lost
struct $link {
    struct $link *next, *before;
    char load[$size];
};

static struct $link *$ring_of(int count) {
    struct $link *head = NULL;
    for (int k = 0; k < count; k++) {
        struct $link *n = (struct $link *)$alloc(sizeof *n);  //@ here $ring_of
        memset(n->load, 'l', sizeof n->load);
        if (!head) {
            head = n->next = n->before = n;
        } else {
            n->next = head;
            n->before = head->before;
            head->before->next = n;
            head->before = n;
        }
    }
    return head;
}

void $op(long i, double passed) {
    (void)passed;
    touch($ring_of(2 + (int)(i % 3)));
}
