static std::vector<char> $collected;

void $op(long i, double) {
    $collected.insert($collected.end(), $size, 'c');
    if (i % ($some + 5) == 0)
        std::vector<char>().swap($collected);
}
