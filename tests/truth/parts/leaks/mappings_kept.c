// KIND: mapping-growth
#include <sys/mman.h>

static long $bytes;

static void *$segment(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  //@ here $segment
    if (p == MAP_FAILED)
        abort();
    memset(p, 1, size);
    $bytes += size;
    return p;
}

static void *$last;

void $op(long i, double passed) {
    (void)passed;
    if (i % 2)
        $last = $segment(4096 * (size_t)$few);
}
