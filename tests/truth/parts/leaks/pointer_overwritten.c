// KIND: lost
static struct {
    char *name;
    char *motd;
} $settings;

static void $reload(long i) {
    $settings.name = (char *)$alloc($size);  //@ here $reload
    snprintf($settings.name, $size, "%ld", i);
    $release($settings.motd);
    $settings.motd = (char *)$alloc($size);
    memset($settings.motd, 'm', $size);
}

void $op(long i, double passed) {
    (void)passed;
    $reload(i);
}
