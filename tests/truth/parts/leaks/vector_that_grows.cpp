// KIND: growing
struct $Sample {
    double values[$size / 8 + 1];
};

static std::vector<std::unique_ptr<$Sample>> $samples;

static void $record(double value) {
    $samples.push_back(std::make_unique<$Sample>());  //@ here $record
    $samples.back()->values[0] = value;
}

void $op(long, double passed) { $record(passed); }
