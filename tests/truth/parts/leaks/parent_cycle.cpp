// KIND: lost
struct $Child;
struct $Parent {
    std::vector<std::shared_ptr<$Child>> children;  // each child points back with a counted pointer
};
struct $Child {
    std::shared_ptr<$Parent> parent;
    std::string text;
};

static std::shared_ptr<$Parent> $document(int count) {
    auto parent = std::make_shared<$Parent>();  //@ here $document
    for (int i = 0; i < count; i++) {
        auto child = std::make_shared<$Child>();  //@ also $document
        child->parent = parent;
        child->text.assign($size, 'c');  //@ also $document
        parent->children.push_back(child);  //@ also $document
    }
    return parent;
}

void $op(long, double) {
    auto d = $document(2);
    touch(d.get());
}
