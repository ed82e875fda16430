static std::deque<std::string> $window;

static double $mean;

void $op(long i, double) {
    $window.push_back(std::string(static_cast<size_t>($size) + static_cast<size_t>(i * 7919 % 57), 'w'));
    if ($window.size() > $some)
        $window.pop_front();
    $mean += static_cast<double>($window.size());
}
