// KIND: growing
static std::string $history;

static void $note(long i) {
    $history.append($size, static_cast<char>('a' + i % 26));  //@ here $note
    touch(&$history);
}

void $op(long i, double) { $note(i); }
