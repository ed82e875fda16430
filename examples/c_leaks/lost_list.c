/* An indirect loss: a list whose head is forgotten. The nodes still have pointers to them (in the list), but nothing
 * points to the list. Only the head is to be freed properly, by list_free(): the nodes then go with it.
 *
 * In real code: freeing a structure with free() instead of its own destructor, or not at all. A tool that lists each
 * lost node as a leak of its own sends its reader to list_add(), where nothing is wrong. */

// EXPECT: lost 16 bytes x 1 + 64 bytes x 50 at list_new()

#include <stdio.h>
#include <stdlib.h>

struct node {
    struct node *next;
    char text[56];
};

struct list {
    struct node *first;
    size_t length;
};

__attribute__((noinline)) static struct list *list_new(void) {
    struct list *list = malloc(sizeof *list);  // <- here
    list->first = NULL;
    list->length = 0;
    return list;
}

__attribute__((noinline)) static void list_add(struct list *list, int number) {
    struct node *node = malloc(sizeof *node);
    snprintf(node->text, sizeof node->text, "entry %d", number);
    node->next = list->first;
    list->first = node;
    list->length++;
}

__attribute__((noinline)) static size_t count_entries(void) {
    struct list *list = list_new();
    for (int i = 0; i < 50; i++) list_add(list, i);
    return list->length;  // the last time that anybody sees `list`
}

/* Writes over what earlier calls left on the stack, so that no stale copy of a pointer keeps a block "reachable". */
__attribute__((noinline)) static int wipe_stack(void) {
    volatile char old[8192];
    for (size_t i = 0; i < sizeof old; i++) old[i] = 0;
    return old[0];
}

int main(void) {
    size_t entries = count_entries();
    printf("%zu entries\n", entries + (size_t)wipe_stack());
    return 0;
}
