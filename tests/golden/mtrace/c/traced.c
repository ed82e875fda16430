#include <mcheck.h>
#include <stdlib.h>
#include <string.h>

static void *kept[64];
static char *list;

__attribute__((noinline)) static void keep(int number) {
    kept[number] = malloc(500);
}

__attribute__((noinline)) static void lengthen(int number) {
    list = realloc(list, 100 * (number + 1));
}

void *exported(int count) {
    return calloc(count, 8);
}

int main(void) {
    mtrace();
    for (int i = 0; i < 64; i++) {
        keep(i);
        lengthen(i);
        free(exported(4));
    }
    for (int i = 0; i < 32; i++) free(kept[i]);
    char *copy = strdup("text");
    list = realloc(list, 0);
    muntrace();
    return copy == NULL;
}
