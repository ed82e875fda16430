// A program for tests of whole runs: what it holds is known, and what of it grows.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *kept[4096];
static int count;

#ifdef SHIFTED /* another build: the lines below move, and one more function leaks */
static void *more[4096];

__attribute__((noinline)) static void fresh_leak(int turn) {
    more[turn] = malloc(3000);
}
#endif

__attribute__((noinline)) static void steady_table(void) {
    static char *table;
    table = malloc(500000);
    table[0] = 1;
}

__attribute__((noinline)) static void growing_list(void) {
    kept[count++] = malloc(20000);
}

__attribute__((noinline)) static void lose(void) {
    void *volatile block = malloc(700);
    block = NULL;
}

int main(int argc, char **argv) {
    int turns = argc > 1 ? atoi(argv[1]) : 20;
    steady_table();
    for (int turn = 0; turn < turns; turn++) {
        growing_list();
        lose();
#ifdef SHIFTED
        fresh_leak(turn);
#endif
        usleep(60000);
    }
    return argc > 2 ? atoi(argv[2]) : 0;
}
