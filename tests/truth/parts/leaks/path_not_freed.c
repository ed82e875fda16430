// KIND: lost
static size_t $depth_of(const char *path) {
    char *full = realpath(path, NULL);  //@ here $depth_of
    size_t depth = 0;
    if (!full)
        return 0;
    for (char *p = full; *p; p++)
        depth += *p == '/';
    return depth;
}

static size_t $deepest;

void $op(long i, double passed) {
    (void)i;
    (void)passed;
    for (int k = 0; k < $few; k++) {
        size_t depth = $depth_of("/usr/include/../share/doc");
        if (depth > $deepest)
            $deepest = depth;
    }
}
