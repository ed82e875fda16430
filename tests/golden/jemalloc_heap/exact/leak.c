#include <stdlib.h>
static void *kept[4000];
__attribute__((noinline)) static void grow(int i) { kept[i] = malloc(1000); }
__attribute__((noinline)) static void big(int i) { kept[i] = malloc(300000); }
int main(void) {
  for (int i = 0; i < 3000; i++) { grow(i); free(malloc(50)); }
  for (int i = 3000; i < 3010; i++) big(i);
  free(kept[3000]);
  return 0;
}
