// KIND: mapping-growth
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int $first_byte(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        abort();
    char *text = (char *)mmap(NULL, 4096 * $few, PROT_READ, MAP_PRIVATE, fd, 0);  //@ here $first_byte
    close(fd);
    if (text == MAP_FAILED)
        abort();
    return text[0];
}

static long $sum;

void $op(long i, double passed) {
    (void)passed;
    if (i % 3 == 0)
        $sum += $first_byte("./program");
}
