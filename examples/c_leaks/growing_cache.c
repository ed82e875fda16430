/* A cache that only grows: every block stays reachable from a global table, so nothing is ever "lost", and still
 * the memory goes. Only looking at the heap over time shows it.
 *
 * In real code: a cache without a limit, a list of sessions or of event handlers that nobody is taken off. */

// EXPECT: growing at cache_put()

#include <stdio.h>
#include <stdlib.h>

#include "pace.h"

struct entry {
    struct entry *next;
    int key;
    char value[2032];
};

static struct entry *cache;

__attribute__((noinline)) static void cache_put(int key) {
    struct entry *entry = malloc(sizeof *entry);  // <- here
    entry->key = key;
    snprintf(entry->value, sizeof entry->value, "the page of user %d", key);
    entry->next = cache;
    cache = entry;
}

int main(int argc, char **argv) {
    int key = 0;
    pace_start(argc, argv);
    while (pace(5)) cache_put(key++);  // each key is new: the cache never hits, and never forgets
    printf("%d entries, the last one: %s\n", key, cache ? cache->value : "none");
    return 0;
}
