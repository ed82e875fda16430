#include <cstdlib>
int main() {
    int *a = new int[7];
    delete a;
    void *b = std::malloc(9);
    delete static_cast<char *>(b);
}
