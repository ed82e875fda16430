/* A leak in a thread: the worker takes jobs for as long as the program runs and forgets the result of each.
 *
 * In real code: results handed to a queue that nobody reads, thread-local buffers without a destructor. */

// CFLAGS: -pthread
// EXPECT: lost 1500 bytes x N at compute()
// EXPECT: growing at compute()

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "pace.h"

__attribute__((noinline)) static int compute(int number) {
    char *result = malloc(1500);  // <- here
    return snprintf(result, 1500, "the square of %d is %ld", number, (long)number * number);
}

static void *work(void *characters) {
    for (int number = 0; pace(5); number++) *(long *)characters += compute(number);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t worker;
    long characters = 0;
    pace_start(argc, argv);
    if (pthread_create(&worker, NULL, work, &characters)) return 1;
    pthread_join(worker, NULL);
    printf("%ld characters\n", characters);
    return 0;
}
