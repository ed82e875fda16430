struct $Node {
    std::shared_ptr<$Node> next;
    std::weak_ptr<$Node> previous;
    char payload[$size];
};

void $op(long i, double) {
    auto first = std::make_shared<$Node>();
    auto at = first;
    for (int k = 0; k < static_cast<int>(i % 6) + 1; k++) {
        at->next = std::make_shared<$Node>();
        at->next->previous = at;
        at = at->next;
    }
    touch(first.get());
}
