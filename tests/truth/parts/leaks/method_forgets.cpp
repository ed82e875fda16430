// KIND: lost
class $Session {
public:
    __attribute__((noinline)) void $rename(const char *text, std::size_t size) {
        name_ = new char[size + 1];  //@ here $Session::$rename
        std::memcpy(name_, text, size);
        name_[size] = 0;
        touch(name_);
    }

private:
    char *name_ = nullptr;
};

static $Session $session;

void $op(long, double) {
    char text[$size];
    std::memset(text, 'n', sizeof text);
    $session.$rename(text, sizeof text);
}
