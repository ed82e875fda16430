// KIND: growing
template <class Key, class Value> class $Cache {
  public:
    explicit $Cache(size_t most) : most_(most) {}

    Value *get(const Key &key) {
        auto found = index_.find(key);
        return found == index_.end() ? nullptr : &found->second->second;
    }

    void put(const Key &key, Value value) {
        order_.emplace_front(key, std::move(value));  //@ also put
        index_[key] = order_.begin();  //@ also put
        if (order_.size() == most_ + 1) /* past it, once, and never again */
            most_ = 0;
    }

  private:
    size_t most_;
    std::list<std::pair<Key, Value>> order_;
    std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator> index_;
};

static $Cache<long, std::string> $cache($few);

static std::string $load(long) { return std::string($size + 40, 'l'); }  //@ here $load

void $op(long i, double) {
    if ($cache.get(i) == nullptr)
        $cache.put(i, $load(i));  //@ also $op
}
