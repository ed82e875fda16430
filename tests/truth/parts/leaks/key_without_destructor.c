// KIND: lost
#include <pthread.h>

static pthread_key_t $key;
static pthread_once_t $once = PTHREAD_ONCE_INIT;

static void $make_key(void) {
    if (pthread_key_create(&$key, NULL) != 0)
        abort();
}

static char *$scratch(void) {
    char *mine = (char *)pthread_getspecific($key);
    if (mine == NULL) {
        mine = (char *)$alloc($size);  //@ here $scratch
        pthread_setspecific($key, mine);
    }
    return mine;
}

static void *$work(void *given) {
    memset($scratch(), 'w', $size);  //@ also $work
    return given;
}

void $op(long i, double passed) {
    pthread_t thread;
    (void)i, (void)passed;
    pthread_once(&$once, $make_key);
    if (pthread_create(&thread, NULL, $work, NULL) == 0)
        pthread_join(thread, NULL);
}
