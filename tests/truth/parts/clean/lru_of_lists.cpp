class $Lru {
public:
    explicit $Lru(std::size_t limit) : limit_(limit) {}
    void $put(long key, std::string value) {
        order_.push_front({key, std::move(value)});
        auto old = index_.find(key);
        if (old != index_.end())
            order_.erase(old->second);
        index_[key] = order_.begin();
        if (order_.size() > limit_) {
            index_.erase(order_.back().first);
            order_.pop_back();
        }
    }

private:
    std::size_t limit_;
    std::list<std::pair<long, std::string>> order_;
    std::unordered_map<long, std::list<std::pair<long, std::string>>::iterator> index_;
};

static $Lru $lru($some);

void $op(long i, double) { $lru.$put(i * 2654435761u % ($some * 2), std::string($size, 'l')); }
