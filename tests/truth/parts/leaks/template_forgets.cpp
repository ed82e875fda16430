// KIND: lost
template <typename T, int Count>
class $Holder {
public:
    void $assign(const T &value) {
        values_ = new T[Count];  //@ here $Holder::$assign
        for (int i = 0; i < Count; i++)
            values_[i] = value;
        touch(values_);
    }

private:
    T *values_ = nullptr;
};

static $Holder<long, $size / 8 + 1> $longs;
static $Holder<char, $size> $chars;

void $op(long i, double) {
    $longs.$assign(i);
    if (i % 2)
        $chars.$assign('c');
}
