// KIND: mapping-growth
#include <sys/mman.h>

static char *$log;
static size_t $pages;

static void $enlarge(void) {
    if (!$log) {
        $pages = 4;
        $log = (char *)mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  //@ also $enlarge
    } else {
        $log = (char *)mremap($log, $pages * 4096, ($pages + $few) * 4096, MREMAP_MAYMOVE);  //@ here $enlarge
        $pages += $few;
    }
    if ($log == MAP_FAILED)
        abort();
    $log[($pages - 1) * 4096] = 1;
}

void $op(long i, double passed) {
    (void)passed;
    if (i % 4 == 0)
        $enlarge();
}
