#include <stdlib.h>
int main(int argc, char **argv) {
    char *text = malloc(10);
    text[0] = argv[0][0];
    if (argc > 1) { free(text); return text[0]; }  // line 6
    text = NULL;
    return 7;
}
