// KIND: growing
class $Scratch {
  public:
    char *take(size_t size) {
        auto piece = std::make_unique<char[]>(size);  //@ here $Scratch::take
        pieces_.push_back(std::move(piece));
        return pieces_.back().get();
    }

  private:
    std::deque<std::unique_ptr<char[]>> pieces_;
};

static $Scratch &$scratch() {
    static $Scratch one;
    return one;
}

void $op(long i, double) {
    char *p = $scratch().take($size);
    p[0] = static_cast<char>(i);
}
