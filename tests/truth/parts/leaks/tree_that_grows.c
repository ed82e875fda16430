// KIND: growing
struct $branch {
    struct $branch *left, *right;
    unsigned long key;
    char payload[$size];
};

static struct $branch *$root;

static struct $branch *$insert(struct $branch *at, unsigned long key) {
    if (!at) {
        at = (struct $branch *)$alloc(sizeof *at);  //@ here $insert
        memset(at, 0, sizeof *at);
        at->key = key;
        return at;
    }
    if (key < at->key)
        at->left = $insert(at->left, key);
    else if (key > at->key)
        at->right = $insert(at->right, key);
    return at;
}

void $op(long i, double passed) {
    (void)passed;
    $root = $insert($root, (unsigned long)i * 2654435761u % 1000003u);
}
