static std::map<long, std::string> $cache;

static void $put(long key) {
    $cache[key] = std::string($size + key % 11, 'm');
    if ($cache.size() > $some)
        $cache.erase($cache.begin());
}

void $op(long i, double) { $put(i); }
