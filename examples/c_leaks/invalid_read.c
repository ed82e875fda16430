/* A read past the end of a block: the loop runs once too often. It mostly "works", and now and then it does not.
 *
 * In real code: `<=` for `<`, a length that counts the terminator, a size that was changed in one place of two. */

// EXPECT: error InvalidRead at sum()

#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static long sum(const int *values, int count) {
    long total = 0;
    for (int i = 0; i <= count; i++) total += values[i];  // <- here
    return total;
}

int main(void) {
    int count = 8;
    int *values = malloc((size_t)count * sizeof *values);
    for (int i = 0; i < count; i++) values[i] = i;
    long total = sum(values, count);
    free(values);
    puts("the sum is there");
    return total == -1;
}
