#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept[1000000];
static int n;

static void keep(void *block) { kept[n++] = block; }

static void grow(void) { keep(memset(malloc(1000), 1, 1000)); }

static void churn(void) {
    char *block = calloc(10, 20);
    block = realloc(block, 5000);
    free(block);
}

static void name(void) { keep(strdup("strdup() has no frame pointer, and allocates for its caller")); }

static void aligned(void) {
    void *block;
    if (posix_memalign(&block, 64, 640) == 0) keep(block);
    free(aligned_alloc(64, 128));
}

int main(void) {
    puts("up");
    fflush(stdout);
    for (int i = 0;; i++) {
        grow();
        churn();
        if (i % 2 == 0) name();
        if (i % 10 == 0) aligned();
        usleep(2000);
    }
}
