struct $Entry {
    double until;
    std::shared_ptr<std::string> value;
};

static std::unordered_map<long, $Entry> $cache;

/* Entries live for a twentieth of the run; the expired ones go now and then. */
void $op(long i, double passed) {
    $cache[i] = $Entry{passed + 0.05, std::make_shared<std::string>(static_cast<size_t>($size), 'e')};
    if (i % $some == 0)
        for (auto at = $cache.begin(); at != $cache.end();)
            at = at->second.until < passed ? $cache.erase(at) : std::next(at);
}
