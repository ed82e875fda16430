#include <stdlib.h>
#include <unistd.h>

static void *kept[64];

__attribute__((noinline)) static void keep(int i) { kept[i] = malloc(100 + i); }

__attribute__((noinline)) static void build(char **list, int count) {
    for (int i = 0; i < count; i++) *list = realloc(*list, 64 * (i + 1));
}

int main(int argc, char **argv) {
    char *list = NULL;
    for (int i = 0; i < 40; i++) {
        keep(i);
        free(malloc(32));
        build(&list, 1 + i % 4);
        usleep(5000);
    }
    free(list);
    for (int i = 0; i < 20; i++) free(kept[i]);
    if (argc > 1) abort();
    return 0 * (argv == NULL);
}
