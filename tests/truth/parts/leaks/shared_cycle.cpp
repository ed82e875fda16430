// KIND: lost
struct $Peer {
    std::shared_ptr<$Peer> other;
    char payload[$size];
};

static void $connect() {
    auto a = std::make_shared<$Peer>();  //@ here $connect
    auto b = std::make_shared<$Peer>();  //@ here $connect
    a->other = b;
    b->other = a;
    touch(a.get());
}

void $op(long, double) { $connect(); }
