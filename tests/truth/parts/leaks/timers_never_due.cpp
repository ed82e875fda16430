// KIND: growing
struct $Timer {
    long due;
    std::function<long(long)> fire;
};

static std::multimap<long, $Timer> $timers;

/* Each answer is watched by a timer, which is not taken back once the answer has come. */
static void $watch(long now) {
    std::string peer($size, 'p');  //@ also $watch
    $timers.emplace(now + 100000000, $Timer{now, [peer](long at) { return at + (long)peer.size(); }});  //@ here $watch
}  //@ also $watch

static void $fire_due(long now) {
    while (!$timers.empty() && $timers.begin()->first <= now) {
        $timers.begin()->second.fire(now);
        $timers.erase($timers.begin());
    }
}

void $op(long i, double) {
    $watch(i);
    $fire_due(i);
}
