// KIND: lost
struct $Timer {
    std::function<void()> on_fire;
    char state[$size];
};

static void $arm() {
    auto t = std::make_shared<$Timer>();  //@ here $arm
    t->on_fire = [t] { t->state[0]++; };  //@ also $arm
    t->on_fire();
}

void $op(long, double) { $arm(); }
