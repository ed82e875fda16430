static int $compare(const void *a, const void *b) { return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b); }

/* A job whose working memory follows its input, which differs from time to time. */
void $op(long i, double passed) {
    (void)passed;
    size_t count = $many + (size_t)(i * 7919) % ($many * 3);
    int *numbers = (int *)$alloc(count * sizeof *numbers);
    for (size_t k = 0; k < count; k++)
        numbers[k] = (int)(k * 48271 % 65537);
    qsort(numbers, count, sizeof *numbers, $compare);
    touch(numbers);
    $release(numbers);
}
