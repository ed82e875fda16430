/* One block that grows by realloc(): the number of blocks stays at one, the bytes go up. Who counts blocks sees nothing.
 *
 * In real code: a log kept in memory, an output buffer that is appended to and never flushed. */

// EXPECT: growing at log_append()

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pace.h"

static char *history;
static size_t length, room;

__attribute__((noinline)) static void log_append(const char *line) {
    size_t more = strlen(line);
    if (length + more + 1 > room) {
        room = length + more + 1 + 16384;
        history = realloc(history, room);  // <- here
        if (!history) abort();
    }
    memcpy(history + length, line, more + 1);
    length += more;
}

int main(int argc, char **argv) {
    char line[2048];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    pace_start(argc, argv);
    while (pace(5)) log_append(line);
    printf("%zu bytes of history\n", length);
    return 0;
}
