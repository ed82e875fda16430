// KIND: lost
#include <regex.h>

static int $matches(const char *pattern, const char *text) {
    regex_t expression;
    if (regcomp(&expression, pattern, REG_EXTENDED) != 0)  //@ here $matches
        return 0;
    return regexec(&expression, text, 0, NULL, 0) == 0;  //@ also $matches
}

static int $found;

void $op(long i, double passed) {
    (void)passed;
    char text[40];
    snprintf(text, sizeof text, "item %ld", i);
    $found += $matches("^item [0-9]+(a|b)?$$", text);
}
