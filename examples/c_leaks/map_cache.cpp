/* Growth inside the standard library: the memory is asked for by std::map, five frames deep in its templates. The line to
 * mend is the one that puts things into the map, in Cache::put().
 *
 * In real code: std::map or std::unordered_map as a cache; operator[] that inserts where a look-up was meant. */

// EXPECT: growing at Cache<int, Page>::put()

#include <cstdio>
#include <map>

#include "pace.h"

struct Page {
    char text[2000];
};

template <typename Key, typename Value>
class Cache {
public:
    __attribute__((noinline)) void put(const Key &key, const Value &value) {
        entries_[key] = value;  // <- here
    }
    std::size_t size() const { return entries_.size(); }

private:
    std::map<Key, Value> entries_;
};

int main(int argc, char **argv) {
    Cache<int, Page> pages;
    pace_start(argc, argv);
    for (int number = 0; pace(5); number++) {
        Page page;
        std::snprintf(page.text, sizeof page.text, "page %d", number);
        pages.put(number, page);
    }
    std::printf("%zu pages\n", pages.size());
    return 0;
}
