// KIND: growing
#include <set>

static std::map<std::pair<long, long>, std::shared_ptr<std::string>> $memo;

static const std::string &$distance(long a, long b) {
    auto found = $memo.find({a, b});
    if (found == $memo.end()) {
        auto value = std::make_shared<std::string>(static_cast<size_t>($size), 'd');  //@ here $distance
        found = $memo.emplace(std::make_pair(a, b), value).first;  //@ also $distance
    }
    return *found->second;
}

static size_t $length;

void $op(long i, double) { $length += $distance(i, i % 13).size(); }
