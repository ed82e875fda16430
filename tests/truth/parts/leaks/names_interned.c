// KIND: growing
static char **$names;
static size_t $count;

static const char *$intern(const char *text) {
    for (size_t k = $count > 20 ? $count - 20 : 0; k < $count; k++)
        if (strcmp($names[k], text) == 0)
            return $names[k];
    if (($count & 255) == 0) {
        char **more = (char **)realloc($names, ($count + 256) * sizeof *more);  //@ also $intern
        if (!more)
            abort();
        $names = more;
    }
    $names[$count] = strdup(text);  //@ here $intern
    return $names[$count++];
}

void $op(long i, double passed) {
    (void)passed;
    char text[$some + 90];
    snprintf(text, sizeof text, "label-%ld-%0*d", i / 2, $some, 1);
    touch((void *)$intern(text));
}
