// KIND: lost
struct $Shape {
    int kind = 0;
    virtual int area() const { return 0; }
    virtual ~$Shape() = default;
};
struct $Picture : $Shape {
    explicit $Picture(std::size_t size) : pixels_(new unsigned char[size]) {  //@ here $Picture::$Picture
        std::memset(pixels_, 0, size);
    }
    int area() const override { return pixels_[0]; }

private:
    unsigned char *pixels_;
};

static int $areas;

static void $draw() {
    $Shape *shape = new $Picture($size);
    touch(shape);
    $areas += shape->area();
    delete shape;
}

void $op(long, double) { $draw(); }
