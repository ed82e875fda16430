// KIND: lost
#include <pthread.h>

struct $task {
    long number;
    char text[$size];
};

static void *$handle(void *given) {
    struct $task *task = (struct $task *)given;
    task->text[0] = (char)task->number;
    return NULL;
}

static void $start_one(long i) {
    pthread_t thread;
    struct $task *task = (struct $task *)$alloc(sizeof *task);  //@ here $start_one
    task->number = i;
    if (pthread_create(&thread, NULL, $handle, task) == 0)
        pthread_join(thread, NULL);
    task = NULL;
    touch(&task);
}

void $op(long i, double passed) {
    (void)passed;
    $start_one(i);
}
