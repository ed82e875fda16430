static char *$free_list[64];
static int $spare;

static char *$borrow(void) {
    if ($spare > 0)
        return $free_list[--$spare];
    char *buffer = (char *)$alloc($size * 2);
    memset(buffer, 'b', $size * 2);
    return buffer;
}

static void $give_back(char *buffer) { $free_list[$spare++] = buffer; }

void $op(long i, double passed) {
    (void)passed;
    char *in_use[40];
    int count = 1 + (int)(i * 2654435761u % 39);
    for (int k = 0; k < count; k++)
        in_use[k] = $borrow();
    while (count > 0)
        $give_back(in_use[--count]);
}
