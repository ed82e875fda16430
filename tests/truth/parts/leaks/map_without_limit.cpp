// KIND: growing
static std::map<long, std::string> $cache;

static void $insert(long key) {
    $cache[key] = std::string($size + key % 5, 'm');  //@ here $insert
}

void $op(long i, double) { $insert(i); }
