static char *$known[$many];
static int $count;

static const char *$intern(const char *text) {
    for (int k = 0; k < $count; k++)
        if (strcmp($known[k], text) == 0)
            return $known[k];
    $known[$count] = strdup(text);
    return $known[$count++];
}

/* A bounded set of names, which come one after the other at first. */
void $op(long i, double passed) {
    (void)passed;
    char text[80];
    snprintf(text, sizeof text, "name-%ld-%060d", i % $many / 2, 1);
    touch((void *)$intern(text));
}
