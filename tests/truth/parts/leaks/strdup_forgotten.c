// KIND: lost
static void $remember(const char *text) {
    char *$copy = strdup(text);  //@ here $remember
    touch($copy);
}

void $op(long i, double passed) {
    (void)passed;
    char text[$size + 32];
    memset(text, 's', sizeof text);
    text[$size + i % 9] = 0;
    $remember(text);
}
