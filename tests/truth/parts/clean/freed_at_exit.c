// FREES: through the wrapper
struct $plan {
    struct $plan *next;
    char text[$size];
};

static struct $plan *$plans;

static void $tidy(void) {
    while ($plans) {
        struct $plan *next = $plans->next;
        $release($plans);
        $plans = next;
    }
}

/* Read at the start, used to the end, given back at exit. */
void $op(long i, double passed) {
    (void)passed;
    if (i == 0)
        atexit($tidy);
    if (i < $some) {
        struct $plan *p = (struct $plan *)$alloc(sizeof *p);
        memset(p->text, 'p', sizeof p->text);
        p->next = $plans;
        $plans = p;
    }
}
