#include <regex.h>

/* What libc allocates for its callers, all of it given back. */
void $op(long i, double passed) {
    (void)passed;
    char *text = NULL, *copy;
    regex_t expression;
    if (asprintf(&text, "item %ld of %0*d", i, $some, 1) < 0)
        abort();
    copy = strdup(text);
    if (regcomp(&expression, "^item [0-9]+ of", REG_EXTENDED) == 0) {
        touch(&expression);
        regfree(&expression);
    }
    free(copy);
    free(text);
}
