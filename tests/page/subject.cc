// Two sites that grow, one of them with a name that objcopy gives it: see conftest.py. It takes two and a half seconds.

#include <cstdlib>
#include <vector>
#include <unistd.h>
struct script {
    char text[4000];
};

extern "C" __attribute__((noinline)) void *hostile_name(int size) {
    void *block = malloc(size);
    *(char *)block = 1;
    return block;
}


template <typename T> struct Keeper {
    std::vector<T *> kept;
    __attribute__((noinline)) void keep() {
        kept.push_back(new T);
    }
};

static void *slots[120];

int main() {
    Keeper<script> keeper;
    for (int i = 0; i < 120; i++) {
        slots[i] = hostile_name(3000);
        keeper.keep();
        usleep(20000);
    }
    return 0;
}
