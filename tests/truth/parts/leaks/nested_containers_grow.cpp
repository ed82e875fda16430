// KIND: growing
static std::map<std::string, std::vector<std::string>> $history;

static void $note(long i) {
    std::string client = "client-" + std::to_string(i % $few);
    std::string event(static_cast<size_t>($size) + 20, 'e');  //@ also $note
    $history[client].push_back(event);  //@ here $note
}

void $op(long i, double) { $note(i); }
