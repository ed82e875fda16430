// KIND: lost
#include <dirent.h>

static int $count_entries(const char *path) {
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);  //@ here $count_entries
    if (n < 0)
        return 0;
    touch(names);
    return n;
}

static long $seen;

void $op(long i, double passed) {
    (void)passed;
    if (i % 2)
        $seen += $count_entries(".");
}
