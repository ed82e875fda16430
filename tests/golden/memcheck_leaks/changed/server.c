#include <stdlib.h>
#include <unistd.h>

struct session {
  struct session *next;
  char *name;
};

static char *volatile cache[100000];
static struct session *volatile current;

__attribute__((noinline)) static void serve(void) {
  struct session *opened = malloc(sizeof *opened);
  opened->name = malloc(50);
  current = opened;
}

__attribute__((noinline)) static void keep(int number) { cache[number] = malloc(500); }

int main(void) {
  for (int number = 0; number < 100000; number++) {
    serve();
    if (number < 100) keep(number);
    usleep(3000);
  }
}
