/* A leak in a child process: the parent only forks and waits, its worker leaks. Whoever looks at the parent alone
 * finds nothing.
 *
 * In real code: servers with a master and workers (nginx, PostgreSQL, php-fpm are built like this). */

// EXPECT: lost 2500 bytes x N at serve()
// EXPECT: growing at serve()

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pace.h"

__attribute__((noinline)) static int serve(int number) {
    char *reply = malloc(2500);  // <- here
    return snprintf(reply, 2500, "reply number %d", number);
}

static int worker(void) {
    long characters = 0;
    for (int number = 0; pace(5); number++) characters += serve(number);
    printf("worker: %ld characters\n", characters);
    return 0;
}

int main(int argc, char **argv) {
    int status = 1;
    pace_start(argc, argv);
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) return worker();
    while (waitpid(child, &status, 0) < 0) continue;  // a signal may have interrupted it
    printf("parent: the worker ended with %d\n", WEXITSTATUS(status));
    return WEXITSTATUS(status);
}
