#include <cstdlib>
#include <cstring>
#include <vector>

struct Node {
    Node *next;
    char text[40];
};

__attribute__((noinline)) static char *copy(const char *text) { return strdup(text); }

__attribute__((noinline)) static void lose_list(int length) {
    Node *head = nullptr;
    for (int i = 0; i < length; i++) head = new Node{head, "entry"};
    if (head->next == nullptr) abort();
}

__attribute__((noinline)) static void lose_vector() {
    auto *numbers = new std::vector<int>;
    numbers->push_back(7);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        char *text = copy(argv[1]);
        free(text);
        if (argv[1][0] == 'u') return text[0];
        return 0;
    }
    for (int i = 0; i < 3; i++) copy("lost");
    lose_list(20);
    lose_vector();
    return 0;
}
