// KIND: lost
#include <dirent.h>

/* Looks for a name, and forgets to close the directory where it was found. */
static int $contains(const char *path) {
    DIR *dir = opendir(path);  //@ here $contains
    struct dirent *e;
    if (!dir)
        return 0;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, "..") == 0) {
            int fd = dirfd(dir);
            return fd >= 0;
        }
    closedir(dir);
    return 0;
}

static int $hits;

void $op(long i, double passed) {
    (void)passed;
    if (i % 5 == 0 && i < 4000)
        $hits += $contains(".");
}
