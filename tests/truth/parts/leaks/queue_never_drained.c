// KIND: growing
struct $event {
    long number;
    void (*handler)(struct $event *);
    char data[$size];
};

static struct $event **$queue;
static size_t $count, $room;
static long $handled;

static void $handle(struct $event *event) { $handled += event->number; }

static void $post(long number) {
    if ($count == $room) {
        $room = $room ? $room * 2 : 64;
        $queue = (struct $event **)realloc($queue, $room * sizeof *$queue);  //@ also $post
    }
    struct $event *event = (struct $event *)$alloc(sizeof *event);  //@ here $post
    memset(event->data, 'e', sizeof event->data);
    event->number = number;
    event->handler = $handle;
    $queue[$count++] = event;
}

void $op(long i, double passed) {
    (void)passed;
    $post(i);
    $queue[$count - 1]->handler($queue[$count - 1]);
}
