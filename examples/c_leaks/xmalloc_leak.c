/* A leak behind an allocation wrapper: every block of the program comes from the same line, the malloc() in xmalloc().
 * The line to mend is the caller's, load_session().
 *
 * In real code: xmalloc, g_malloc, zmalloc, operator new of one's own ... nearly every large C program has one. */

// EXPECT: lost 3000 bytes x N at load_session()
// EXPECT: growing at load_session()

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pace.h"

__attribute__((noinline)) static void *xmalloc(size_t size) {
    void *block = malloc(size);
    if (!block) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return block;
}

static char *settings, *banner;

__attribute__((noinline)) static void load_settings(void) {
    settings = xmalloc(20000);  // kept for the whole run, on purpose
    memset(settings, '=', 20000);
}

__attribute__((noinline)) static void load_banner(void) {
    banner = xmalloc(500);
    strcpy(banner, "welcome");
}

__attribute__((noinline)) static size_t render_page(int number) {
    char *page = xmalloc(8000);
    size_t length = (size_t)snprintf(page, 8000, "%s, page %d, %c", banner, number, settings[number % 20000]);
    free(page);
    return length;
}

__attribute__((noinline)) static size_t load_session(int number) {
    char *session = xmalloc(3000);  // <- here
    return (size_t)snprintf(session, 3000, "session of user %d", number);  // used, and never freed
}

int main(int argc, char **argv) {
    size_t characters = 0;
    load_settings();
    load_banner();
    pace_start(argc, argv);
    for (int number = 0; pace(5); number++) characters += load_session(number) + render_page(number);
    printf("%zu characters\n", characters);
    return 0;
}
