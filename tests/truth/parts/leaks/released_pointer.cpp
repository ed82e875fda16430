// KIND: lost
struct $Job {
    std::string name;
    std::vector<char> data;
};

static $Job *$prepare(long i) {
    auto job = std::make_unique<$Job>();  //@ here $prepare
    job->name = std::to_string(i);
    job->data.assign($size, 'j');  //@ also $prepare
    return job.release();
}

static long $done;

void $op(long i, double) {
    $Job *job = $prepare(i);
    touch(job);
    $done += static_cast<long>(job->data.size());
}
