#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *kept[50];

__attribute__((noinline)) static void in_child(int number) {
    kept[number] = malloc(1000 + number);
}

int main(void) {
    for (int i = 0; i < 8; i++) kept[i] = malloc(64);
    if (fork() == 0) {
        for (int i = 0; i < 8; i++) free(kept[i]);
        for (int i = 0; i < 50; i++) {
            in_child(i);
            usleep(30000);
        }
        exit(0);
    }
    wait(NULL);
    return 0;
}
