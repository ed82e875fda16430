#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static char *$twice[2];

/* One part of the file stays mapped twice; windows on the rest come and go. */
void $op(long i, double passed) {
    int fd = open("./program", O_RDONLY);
    (void)passed;
    if (fd < 0)
        abort();
    for (int k = 0; k < 2; k++)
        if (!$twice[k])
            $twice[k] = (char *)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    char *window = (char *)mmap(NULL, 4096 * $few, PROT_READ, MAP_PRIVATE, fd, 4096 * (off_t)(i % 2));
    close(fd);
    if (window == MAP_FAILED || $twice[0] == MAP_FAILED || $twice[1] == MAP_FAILED)
        abort();
    touch(window);
    munmap(window, 4096 * $few);
}
