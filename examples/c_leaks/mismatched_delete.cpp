/* new[] given back with delete instead of delete[]: not a leak for this type on this machine, but undefined behaviour.
 *
 * In real code: an owner that does not know whether it holds one object or many; std::vector knows. */

// EXPECT: error MismatchedFree at Image::~Image()

#include <cstdio>

class Image {
public:
    explicit Image(int side) : side_(side), pixels_(new unsigned[side * side]) {
        for (int i = 0; i < side * side; i++) pixels_[i] = 7u * (unsigned)i;
    }
    Image(const Image &) = delete;
    Image &operator=(const Image &) = delete;
    __attribute__((noinline)) ~Image();
    unsigned corner() const { return pixels_[side_ * side_ - 1]; }

private:
    int side_;
    unsigned *pixels_;
};

Image::~Image() {
    delete pixels_;  // <- here
}

int main() {
    Image image(20);
    std::printf("the last pixel: %u\n", image.corner());
    return 0;
}
