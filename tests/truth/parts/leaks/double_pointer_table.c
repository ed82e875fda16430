// KIND: growing
struct $session {
    int id;
    char *buffer;
};

static struct $session **$sessions;
static int $open;

static int $enter(struct $session **place, int id) {
    *place = (struct $session *)$alloc(sizeof **place);  //@ also $enter
    (*place)->id = id;
    (*place)->buffer = (char *)$alloc($size + 40);  //@ here $enter
    memset((*place)->buffer, 0, $size + 40);
    return id;
}

void $op(long i, double passed) {
    (void)passed;
    if (!$sessions)
        $sessions = (struct $session **)calloc(100000, sizeof *$sessions);
    if ($open < 100000)
        $open += $enter(&$sessions[$open], (int)i) >= 0;
}
