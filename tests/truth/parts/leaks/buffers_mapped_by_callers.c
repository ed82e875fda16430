// KIND: mapping-growth
#include <sys/mman.h>

static void *$pages(size_t count) {
    void *p = mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    *(char *)p = 1;
    return p;
}

static void $scratch(void) {
    void *p = $pages(3);
    touch(p);
    munmap(p, 3 * 4096);
}

static void *$ring;

static void $open_ring(void) {
    $ring = $pages($few);  //@ here $open_ring
    touch($ring);
}

void $op(long i, double passed) {
    (void)passed;
    $scratch();
    if (i % 2)
        $open_ring();
}
