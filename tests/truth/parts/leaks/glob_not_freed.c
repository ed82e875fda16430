// KIND: lost
#include <glob.h>

static size_t $matching(const char *pattern) {
    glob_t found;
    memset(&found, 0, sizeof found);
    if (glob(pattern, 0, NULL, &found) != 0)  //@ here $matching
        return 0;
    return found.gl_pathc;
}

static size_t $total;

void $op(long i, double passed) {
    (void)passed;
    if (i % 3 == 0)
        $total += $matching("/etc/p*");
}
