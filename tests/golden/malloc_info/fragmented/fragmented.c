#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 60000 };
static char *blocks[BLOCKS];

/* "fragmented": every second block stays. "kept": none does, and the top of the heap is not given back. "held": all stay. */
int main(int argc, char **argv) {
    int kept = argc > 1 && strcmp(argv[1], "kept") == 0, held = argc > 1 && strcmp(argv[1], "held") == 0;
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    char *large = malloc(1 << 20);
    for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(malloc(500), 1, 500);
    for (int i = 0; i < BLOCKS && !held; i += kept ? 1 : 2) free(blocks[i]);
    puts("up");
    fflush(stdout);
    for (;;) usleep(10000);
    return large == NULL;
}
