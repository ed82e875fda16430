#include <stdlib.h>
static void *kept;
__attribute__((noinline)) static void lose(int n) { volatile char *p = malloc(n); p[0] = 1; p = 0; }
__attribute__((noinline)) static void once(void) { lose(4000); }
int main(void) {
  for (int i = 0; i < 50; i++) lose(100);
  once();
  kept = malloc(9000);
  return 0;
}
