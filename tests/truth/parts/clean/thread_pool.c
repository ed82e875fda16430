#include <pthread.h>
#include <unistd.h>

static pthread_t $threads[$few];
static volatile int $busy = 1;

static void *$serve(void *unused) {
    char *$own = (char *)malloc($size * 8);
    memset($own, 't', $size * 8);
    touch($own);
    while ($busy)
        usleep(20000);
    free($own);
    return unused;
}

void $op(long i, double passed) {
    if (i == 0)
        for (int k = 0; k < $few; k++)
            pthread_create(&$threads[k], NULL, $serve, NULL);
    if (passed > 0.95 && $busy) {
        $busy = 0;
        for (int k = 0; k < $few; k++)
            pthread_join($threads[k], NULL);
    }
}
