static std::deque<std::unique_ptr<std::string>> $jobs;

void $op(long i, double) {
    for (int k = 0; k < $few; k++)
        $jobs.push_back(std::make_unique<std::string>($size, 'j'));
    std::size_t done = i % 3 == 0 ? 3 * $few : 0;
    while (done-- && !$jobs.empty())
        $jobs.pop_front();
}
