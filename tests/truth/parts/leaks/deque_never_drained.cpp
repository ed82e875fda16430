// KIND: growing
static std::deque<std::string> $pending;

class $Worker {
public:
    void $submit(std::string job) {
        $pending.push_back(std::move(job));  //@ also $Worker::$submit
    }
};

static $Worker $worker;

static void $request(long i) {
    std::string job($size, 'q');  //@ here $request
    job += std::to_string(i);  //@ also $request
    $worker.$submit(job);  //@ also $request
}

void $op(long i, double) { $request(i); }
