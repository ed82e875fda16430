#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void invalid(void) {
    char *p = malloc(10);
    for (int i = 0; i < 3; i++) p[10] = 1;
    char c = p[11];
    free(p);
    if (p[3] == c) puts("same");
    free(p);
}
static void undefined(int fd) {
    int *p = malloc(16);
    static const char table[256];
    if (p[1] == 3) puts("three");
    if (table[p[2] & 255]) puts("none");
    if (write(fd, p, 16) < 0) puts("unwritten");
    if (write(fd, (void *)1, 16) < 0) puts("unwritten");
    free(p);
}
static void overlap(void) {
    static char text[40] = "abcdefghijklmnopqrstuvwxyz";
    char *volatile start = text;
    strncpy(start + 2, start, 9);
}
int main(void) {
    int pipes[2];
    if (pipe(pipes)) return 1;
    invalid();
    undefined(pipes[1]);
    overlap();
    volatile long size = -3;
    void *fishy = malloc(size);
    return fishy != NULL;
}
