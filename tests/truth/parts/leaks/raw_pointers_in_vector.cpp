// KIND: lost
struct $Shape {
    explicit $Shape(int n) : corners(n) {}
    virtual ~$Shape() = default;
    int corners;
    char name[$size];
};

static int $draw(int count) {
    std::vector<$Shape *> shapes;
    int corners = 0;
    for (int k = 0; k < count; k++)
        shapes.push_back(new $Shape(k));  //@ here $draw
    for (auto *s : shapes) {
        touch(s);
        corners += s->corners;
    }
    return corners;
}

static int $drawn;

void $op(long i, double) { $drawn += $draw(1 + static_cast<int>(i % 4)); }
