// KIND: growing
static struct $sample {
    double at;
    char label[24];
} *$samples;
static size_t $used, $room;

static void $append(double at, long i) {
    if ($used == $room) {
        $room = $room ? $room + $room / 4 + 8 : 16;
        $samples = (struct $sample *)realloc($samples, $room * sizeof *$samples);  //@ here $append
        if (!$samples)
            abort();
    }
    $samples[$used].at = at;
    snprintf($samples[$used++].label, 24, "s%ld", i);
}

void $op(long i, double passed) {
    for (int k = 0; k < $few; k++)
        $append(passed, i);
}
