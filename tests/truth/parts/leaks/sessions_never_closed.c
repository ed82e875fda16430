// KIND: growing
struct $session {
    long id;
    char *user;
    char inbox[$size];
    struct $session *next;
};

static struct $session *$sessions;

static struct $session *$open(long id) {
    struct $session *s = (struct $session *)$alloc(sizeof *s);  //@ here $open
    char user[48];
    s->id = id;
    memset(s->inbox, 0, sizeof s->inbox);
    snprintf(user, sizeof user, "user%ld", id);
    s->user = strdup(user);  //@ also $open
    s->next = $sessions;
    return $sessions = s;
}

static void $close(long id) {
    for (struct $session **at = &$sessions; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct $session *gone = *at;
            *at = gone->next;
            free(gone->user);
            $release(gone);
            return;
        }
}

/* Every third one is forgotten. */
void $op(long i, double passed) {
    (void)passed;
    touch($open(i));
    if (i % 3)
        $close(i);
}
