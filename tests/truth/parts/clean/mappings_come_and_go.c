#include <sys/mman.h>

/* A window into a file-like thing, moved on from time to time. */
static char *$view;

void $op(long i, double passed) {
    (void)passed;
    if (i % $few)
        return;
    if ($view)
        munmap($view, 4096 * $few);
    $view = (char *)mmap(NULL, 4096 * $few, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ($view == MAP_FAILED)
        abort();
    $view[0] = 1;
}
