/* A lost block: the simplest leak. The only pointer to the block is a local variable, and the function returns.
 *
 * In real code: a buffer for a message, a path or a query that is built, used, and forgotten. */

// EXPECT: lost 100 bytes x 10 at lost()

#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static size_t lost(int number) {
    char *greeting = malloc(100);  // <- here
    int length = snprintf(greeting, 100, "hello, visitor number %d", number);
    return (size_t)length;  // and nobody has called free(greeting)
}

/* Writes over what earlier calls left on the stack, so that no stale copy of a pointer keeps a block "reachable". */
__attribute__((noinline)) static int wipe_stack(void) {
    volatile char old[8192];
    for (size_t i = 0; i < sizeof old; i++) old[i] = 0;
    return old[0];
}

int main(void) {
    size_t characters = 0;
    for (int i = 0; i < 10; i++) characters += lost(i);
    printf("%zu characters\n", characters + (size_t)wipe_stack());
    return 0;
}
