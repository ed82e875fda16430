static std::vector<std::string> $lines;

void $op(long i, double) {
    $lines.push_back(std::string($size / 2 + 20, 'v'));
    if (i % ($few * 10) == 0)
        $lines.clear();
}
