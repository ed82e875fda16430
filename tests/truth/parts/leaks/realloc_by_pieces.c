// KIND: growing
static char *$log;
static size_t $used;

static void $append(const char *text, size_t size) {
    $log = (char *)realloc($log, $used + size);  //@ here $append
    memcpy($log + $used, text, size);
    $used += size;
}

void $op(long i, double passed) {
    (void)i;
    (void)passed;
    char text[$size];
    memset(text, 'l', sizeof text);
    $append(text, sizeof text);
}
