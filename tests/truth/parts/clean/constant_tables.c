static char *$tables[$many];

void $op(long i, double passed) {
    (void)passed;
    if (i == 0)
        for (int k = 0; k < $many; k++) {
            $tables[k] = (char *)$alloc($size);
            memset($tables[k], 1, $size);
        }
    touch($tables);
}
