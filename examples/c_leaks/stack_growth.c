/* A stack that grows: each level of nesting costs a buffer of 8 KB on the stack, and the input decides how deep it goes.
 * The heap is quiet. The depth is bounded here (3 MB); with a deeper input the program would be killed.
 *
 * In real code: recursive parsers, walks over trees and directories, alloca() and large local arrays. */

// EXPECT: stack-growth at descend()

#include <stdio.h>
#include <string.h>

#include "pace.h"

enum { LEVELS = 375 };

__attribute__((noinline)) static int descend(int level, int milliseconds) {
    volatile char scratch[8192];
    memset((char *)scratch, level, sizeof scratch);
    if (level == LEVELS || !pace(milliseconds)) return level;
    int deepest = descend(level + 1, milliseconds);  // <- here
    return scratch[0] == (char)level ? deepest : -1;
}

int main(int argc, char **argv) {
    pace_start(argc, argv);
    int deepest = descend(1, (int)(pace_seconds * 1000 / LEVELS));
    printf("%d levels\n", deepest);
    return deepest < 1;
}
