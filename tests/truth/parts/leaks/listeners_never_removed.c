// KIND: growing
typedef void (*$callback)(void *context);

struct $listener {
    $callback call;
    void *context;
    struct $listener *next;
};

static struct $listener *$listeners;
static long $calls;

static void $on_change(void *context) { $calls += *(char *)context; }

static void $listen($callback call, void *context) {
    struct $listener *l = (struct $listener *)$alloc(sizeof *l);  //@ also $listen
    l->call = call;
    l->context = context;
    l->next = $listeners;
    $listeners = l;
}

static void $open_session(long i) {
    char *context = (char *)$alloc($size + 64);  //@ here $open_session
    memset(context, (int)(i % 100), $size + 64);
    $listen($on_change, context);  //@ also $open_session
    $listeners->call($listeners->context);
}

static void (*volatile $entry)(long) = $open_session;

void $op(long i, double passed) {
    (void)passed;
    $entry(i);
}
