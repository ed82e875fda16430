// KIND: growing
#include <obstack.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static struct obstack $names;
static int $ready;

static const char *$intern(const char *name, int length) {
    return (const char *)obstack_copy0(&$names, name, length);  //@ here $intern
}

static const char *$last;

void $op(long i, double passed) {
    char name[$size + 20];
    (void)passed;
    if (!$ready) {
        obstack_init(&$names);
        $ready = 1;
    }
    memset(name, 'n', $size);
    $last = $intern(name, $size + snprintf(name + $size, 20, "%ld", i));  //@ also $op
}
