// KIND: mapping-growth
// BLIND: heapprofile-mmap
#include <pthread.h>

static void *$answer_one(void *given) {
    char text[$size];
    memset(text, 'a', sizeof text);
    touch(text);
    return given;
}

/* Nobody joins them, and they are not detached: each keeps its stack. */
static void $serve(void) {
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    if (pthread_create(&thread, &small, $answer_one, NULL) != 0)  //@ here $serve
        abort();
    pthread_attr_destroy(&small);
}

void $op(long i, double passed) {
    (void)passed;
    if (i % 3 == 0)
        $serve();
}
