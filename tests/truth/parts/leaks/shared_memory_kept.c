// KIND: mapping-growth
#include <sys/mman.h>
#include <unistd.h>

static char *$picture(size_t size) {
    int fd = memfd_create("picture", 0);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        abort();
    char *pixels = (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);  //@ here $picture
    if (pixels == MAP_FAILED)
        abort();
    memset(pixels, 1, size);
    close(fd); /* the mapping keeps it */
    return pixels;
}

static long $sum;

void $op(long i, double passed) {
    (void)passed;
    if (i % 4 == 0)
        $sum += $picture(4096 * (size_t)$few)[7];
}
