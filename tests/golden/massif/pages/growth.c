#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct entry { struct entry *next; char text[100]; };
static struct entry *cache;

static void *xmalloc(size_t size) {
    void *p = malloc(size);
    if (!p) abort();
    memset(p, 0, size);
    return p;
}
static void remember(int n) {
    struct entry *e = xmalloc(sizeof *e + n);
    e->next = cache;
    cache = e;
}
static void small_a(void) { static void *keep[4]; for (int i = 0; i < 4; i++) keep[i] = malloc(8); }
static void small_b(void) { static void *keep[4]; for (int i = 0; i < 4; i++) keep[i] = malloc(9); }
static int deep(int n) {
    char frame[512];
    memset(frame, n, sizeof frame);
    if (n == 0) return frame[3] + (malloc(640) != NULL);
    return deep(n - 1) + frame[7];
}
int main(void) {
    char *whole = malloc(50000);
    small_a();
    small_b();
    for (int i = 0; i < 200; i++) remember(i);
    int sum = deep(6);
    char *pages = mmap(NULL, 300000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages[5] = 1;
    free(whole);
    printf("%d\n", sum);
    return 0;
}
