// KIND: lost
static double **$matrix(int n) {
    double **rows = (double **)$alloc((size_t)n * sizeof *rows);
    for (int k = 0; k < n; k++) {
        rows[k] = (double *)$alloc((size_t)n * sizeof **rows);  //@ here $matrix
        memset(rows[k], 0, (size_t)n * sizeof **rows);
    }
    return rows;
}

static double $trace;

void $op(long i, double passed) {
    (void)passed;
    int n = $few + (int)(i % 3);
    double **m = $matrix(n);
    for (int k = 0; k < n; k++)
        $trace += m[k][k];
    $release(m);
}
