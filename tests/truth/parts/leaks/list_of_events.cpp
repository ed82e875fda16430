// KIND: growing
struct $Event {
    long at;
    char text[$size];
};

template <typename T> class $Log {
  public:
    void add(const T &item) {
        items_.push_back(item);  //@ here $Log::add
    }
    size_t size() const { return items_.size(); }

  private:
    std::list<T> items_;
};

static $Log<$Event> $log;

void $op(long i, double) {
    $Event e;
    e.at = i;
    memset(e.text, 'e', sizeof e.text);
    $log.add(e);  //@ also $op
}
