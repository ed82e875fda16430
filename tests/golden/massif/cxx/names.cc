#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {
template <typename T> struct Holder {
    std::vector<T> kept;
    T &operator()(int n) { kept.push_back(T(n, 'x')); return kept.back(); }
};
int *leak(int n) { return new int[n]; }
}
struct Cache {
    std::map<int, std::string> kept;
    void put(int n) { kept[n] = std::string(200 + n, 'c'); }
    operator bool() const { return true; }
};
int main() {
    Cache cache;
    Holder<std::string> h;
    std::function<void(int)> f = [&](int n) { cache.put(n); h(n + 40); };
    for (int i = 0; i < 30; i++) { f(i); if (leak(i + 1) == nullptr) return 1; }
    std::puts(bool(cache) ? "done" : "none");
}
