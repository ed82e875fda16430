// FREES: through the wrapper
static char *$document;
static char *$copy;

/* A large one that stays, and a copy of it that comes and goes. */
void $op(long i, double passed) {
    (void)passed;
    size_t size = $size * 40;
    if (!$document) {
        $document = (char *)$alloc(size);
        memset($document, 'd', size);
    }
    if (i % $some == 0) {
        $copy = (char *)$alloc(size);
        memcpy($copy, $document, size);
    } else if (i % $some == $few) {
        $release($copy);
        $copy = NULL;
    }
}
