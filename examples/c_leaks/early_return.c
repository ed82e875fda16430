/* A leak on one path only: the job's buffer is freed at the end of the function, but not when it returns early.
 *
 * In real code: the most common leak of all. Error paths are rarely tested, and a server meets them every day. */

// EXPECT: lost 4096 bytes x N at process_job()
// EXPECT: growing at process_job()

#include <stdio.h>
#include <stdlib.h>

#include "pace.h"

__attribute__((noinline)) static int process_job(int number) {
    char *buffer = malloc(4096);  // <- here
    int length = snprintf(buffer, 4096, "job %d", number);
    if (number % 2) return -1;  // "not for us": the buffer is forgotten
    free(buffer);
    return length;
}

int main(int argc, char **argv) {
    int done = 0, refused = 0;
    pace_start(argc, argv);
    for (int number = 0; pace(5); number++) {
        if (process_job(number) < 0) refused++;
        else done++;
    }
    printf("%d jobs done, %d refused\n", done, refused);
    return 0;
}
