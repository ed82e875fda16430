// KIND: lost
#include <stdexcept>

static int $check(const char *text) {
    if (text[0] % 4 == 0)
        throw std::runtime_error("bad input");
    return text[0];
}

static int $convert(long i) {
    char *buffer = new char[$size];  //@ here $convert
    buffer[0] = static_cast<char>(i % 64);
    touch(buffer);
    int value = $check(buffer);
    delete[] buffer;
    return value;
}

static long $bad, $sum;

void $op(long i, double) {
    try {
        $sum += $convert(i);
    } catch (const std::exception &) {
        $bad++;
    }
}
