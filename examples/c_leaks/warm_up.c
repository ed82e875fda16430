/* Not a leak: a warm-up and then a plateau. For the first sixth of its time the program loads tables, and then works with
 * what it has. The last snapshot is far larger than the first, and nothing grows: comparing two moments is not enough.
 *
 * In real code: every program that reads its data, fills its pools and compiles its templates at the start. */

// EXPECT: clean

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pace.h"

enum { MOST = 400 };

static char *tables[MOST];
static int loaded;

__attribute__((noinline)) static void load_table(void) {
    tables[loaded] = malloc(10000);
    memset(tables[loaded], loaded, 10000);
    loaded++;
}

__attribute__((noinline)) static int query(int number) {
    char *answer = malloc(3000);
    int length = snprintf(answer, 3000, "row %d: %d", number, tables[number % loaded][number % 10000]);
    free(answer);
    return length;
}

int main(int argc, char **argv) {
    long characters = 0;
    pace_start(argc, argv);
    load_table();
    for (int number = 0; pace(5); number++) {
        if (pace_passed() < 1.0 / 6 && loaded < MOST) load_table();
        characters += query(number);
    }
    printf("%d tables, %ld characters\n", loaded, characters);
    while (loaded) free(tables[--loaded]);
    return 0;
}
