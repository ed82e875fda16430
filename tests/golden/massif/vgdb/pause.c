#include <stdlib.h>
#include <unistd.h>

static void *kept[64];
static void keep(int n) { kept[n] = malloc(1000 + n); }
int main(void) {
    for (int i = 0; i < 64; i++) {
        keep(i);
        usleep(100000);
    }
    return 0;
}
