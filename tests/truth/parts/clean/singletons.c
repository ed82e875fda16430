struct $config {
    char *path, *user;
    struct $config *fallback;
};

static struct $config *$instance;

static struct $config *$the_config(void) {
    if (!$instance) {
        $instance = (struct $config *)$alloc(sizeof *$instance);
        $instance->path = strdup("/etc/app/app.conf");
        $instance->user = (char *)$alloc($size);
        memset($instance->user, 'u', $size);
        $instance->fallback = NULL;
    }
    return $instance;
}

void $op(long i, double passed) {
    (void)i;
    if (passed * 100 > $start)
        touch($the_config());
}
