#include <stdlib.h>
#include <string.h>

static char *kept[16];

__attribute__((noinline)) static void keep(int number) {
    kept[number] = malloc(4000);
    memset(kept[number], number, 4000);
}

__attribute__((noinline)) static void reserve(void) {
    char *never_touched = malloc(20000);
    free(never_touched);
}

__attribute__((noinline)) static int blink(int number) {
    int *brief = malloc(64);
    brief[0] = number;
    int read = brief[0];
    free(brief);
    return read;
}

int main(void) {
    int sum = 0;
    for (int i = 0; i < 16; i++) keep(i);
    for (int i = 0; i < 400; i++) sum += blink(i);
    for (int i = 0; i < 8; i++) free(kept[i]);
    reserve();
    return sum == 0;
}
