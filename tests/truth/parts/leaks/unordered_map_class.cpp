// KIND: growing
template <typename K, typename V>
class $Registry {
public:
    void $add(const K &key, V value) {
        entries_.emplace(key, std::move(value));  //@ also $Registry::$add
    }
    std::size_t size() const { return entries_.size(); }

private:
    std::unordered_map<K, V> entries_;
};

static $Registry<std::string, std::vector<char>> $registry;

static void $visit(long i) {
    std::vector<char> page($size, 'p');  //@ here $visit
    $registry.$add("https://host/path/" + std::to_string(i), std::move(page));  //@ also $visit
}

void $op(long i, double) { $visit(i); }
