#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *kept[8];

__attribute__((noinline)) static void in_child(void) {
    for (int i = 0; i < 40; i++) kept[i % 8] = malloc(1000 + i);
}

int main(void) {
    for (int i = 0; i < 8; i++) kept[i] = malloc(64);
    if (fork() == 0) {
        for (int i = 0; i < 8; i++) free(kept[i]);
        in_child();
        exit(0);
    }
    wait(NULL);
    return 0;
}
