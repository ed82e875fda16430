// KIND: lost
struct $Row {
    std::string text;
    long number;
};

static $Row *$read_row(long i) {
    void *room = malloc(sizeof($Row));
    if (!room)
        abort();
    auto *row = new (room) $Row;
    row->text.assign($size + 20, static_cast<char>('a' + i % 26));  //@ here $read_row
    row->number = i;
    return row;
}

static long $total;

void $op(long i, double) {
    $Row *row = $read_row(i);
    touch(row);
    $total += row->number;
    free(static_cast<void *>(row));
}
