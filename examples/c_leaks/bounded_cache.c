/* Not a leak: a cache with a limit. It allocates all the time, and puts out an old entry for each new one, so that after a
 * short while it stays as large as it is. Nothing is to be reported here.
 *
 * In real code: how growing_cache.c is mended. */

// EXPECT: clean

#include <stdio.h>
#include <stdlib.h>

#include "pace.h"

enum { LIMIT = 64 };

static char *cache[LIMIT];

__attribute__((noinline)) static void cache_put(int key) {
    char **slot = &cache[key % LIMIT];
    free(*slot);  // the oldest goes
    *slot = malloc(4000);
    snprintf(*slot, 4000, "the page of user %d", key);
}

int main(int argc, char **argv) {
    int key = 0;
    pace_start(argc, argv);
    while (pace(5)) cache_put(key++);
    printf("%d entries were cached\n", key);
    for (int i = 0; i < LIMIT; i++) free(cache[i]);
    return 0;
}
