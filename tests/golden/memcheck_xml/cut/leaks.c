#include <stdlib.h>
#include <stdio.h>

struct node { struct node *next; char text[24]; };
static void *root, *inner;

static void lost(void) { char *p = malloc(100); p[0] = 1; }
static void chain(void) {
    struct node *head = malloc(sizeof *head);
    head->next = malloc(sizeof *head);
    head->next->next = malloc(sizeof *head);
    head->next->next->next = NULL;
}
static inline __attribute__((always_inline)) void *inlined(size_t n) { return malloc(n); }
static int again(int n) { return n ? again(n - 1) + 1 : malloc(5000) == NULL; }
int main(void) {
    for (int i = 0; i < 3; i++) lost();
    chain();
    root = malloc(70);
    inner = (char *)malloc(80) + 8;
    inlined(30);
    if (again(4) > 9) puts("no");
    return 0;
}
