// KIND: mapping-growth
#include <unistd.h>

/* An allocator upon sbrk(), of which the large sizes have no list to go back to. */
struct $cell {
    struct $cell *next;
};

static struct $cell *$cells;
static char *$from, *$to;

static void *$take(size_t size) {
    if ($cells && size <= 64) {
        void *cell = $cells;
        $cells = $cells->next;
        return cell;
    }
    size = (size + 63) / 64 * 64;
    if ((size_t)($to - $from) < size) {
        void *more = sbrk(32 << 10);  //@ here $take
        if (more == (void *)-1)
            abort();
        $from = (char *)more;
        $to = $from + (32 << 10);
    }
    void *taken = $from;
    $from += size;
    return taken;
}

static void $give_back(void *taken, size_t size) {
    if (size > 64)
        return;
    ((struct $cell *)taken)->next = $cells;
    $cells = (struct $cell *)taken;
}

void $op(long i, double passed) {
    size_t size = i % 2 ? 40 : 1000 + (size_t)$size;
    void *taken = $take(size);
    (void)passed;
    memset(taken, 1, size);
    $give_back(taken, size);
}
