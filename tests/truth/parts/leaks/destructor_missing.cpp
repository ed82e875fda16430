// KIND: lost
class $Buffer {
  public:
    explicit $Buffer(size_t size) : bytes_(new char[size]) { bytes_[0] = 1; }  //@ here $Buffer::$Buffer
    char first() const { return bytes_[0]; }

  private:
    char *bytes_;
};

static int $sum;

static void $use(size_t size) {
    $Buffer b(size);  //@ also $use
    touch(&b);
    $sum += b.first();
}

void $op(long i, double) { $use($size + static_cast<size_t>(i % 7)); }
