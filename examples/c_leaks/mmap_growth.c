/* Growth outside the heap: segments come from mmap() and are never given back. malloc() is not involved, so a tool that
 * only watches the heap reports nothing at all.
 *
 * In real code: memory-mapped files that stay mapped, arenas and allocators of one's own, garbage collectors. */

// EXPECT: mapping-growth at add_segment()

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "pace.h"

enum { SEGMENT = 64 * 1024 };

__attribute__((noinline)) static char *add_segment(int fill) {
    char *segment = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // <- here
    if (segment == MAP_FAILED) return NULL;
    memset(segment, fill, SEGMENT);  // touched, so that it is really there
    return segment;
}

int main(int argc, char **argv) {
    int segments = 0;
    long sum = 0;
    pace_start(argc, argv);
    while (pace(25)) {
        char *segment = add_segment(segments & 63);
        if (!segment) return 1;
        sum += segment[SEGMENT - 1];
        segments++;
    }
    printf("%d segments, %ld\n", segments, sum);
    return 0;
}
