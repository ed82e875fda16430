// KIND: growing
static std::vector<std::function<int()>> $handlers;

static void $subscribe(long i) {
    std::string topic($size, 't');
    $handlers.push_back([topic, i] { return static_cast<int>(topic.size() + i); });  //@ here $subscribe
}  //@ also $subscribe

void $op(long i, double) {
    $subscribe(i);
    touch(&$handlers);
}
