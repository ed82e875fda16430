// FREES: through the wrapper
struct $node {
    struct $node *left, *right;
    char text[$size];
};

static struct $node *$grow(int depth) {
    if (depth == 0)
        return NULL;
    struct $node *n = (struct $node *)$alloc(sizeof *n);
    n->text[0] = 'n';
    n->left = $grow(depth - 1);
    n->right = $grow(depth - 1);
    return n;
}

static void $fell(struct $node *n) {
    if (!n)
        return;
    $fell(n->left);
    $fell(n->right);
    $release(n);
}

void $op(long i, double passed) {
    (void)passed;
    $fell($grow(1 + (int)(i % 5)));
}
