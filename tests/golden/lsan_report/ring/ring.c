#include <stdlib.h>

struct link { struct link *other; };

__attribute__((noinline)) static struct link *ring(void) {
    struct link *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    one->other = two;
    two->other = one;
    return one;
}

int main(void) { return ring()->other == NULL; }
