/* A decision on a value that was never set: malloc() does not clear the block that it gives, calloc() does.
 *
 * In real code: a flag added to a structure later, and set in all its constructors but one. */

// EXPECT: error UninitCondition at describe()

#include <stdio.h>
#include <stdlib.h>

struct account {
    int number;
    int locked;
};

__attribute__((noinline)) static struct account *open_account(int number) {
    struct account *account = malloc(sizeof *account);
    account->number = number;  // and `locked` holds whatever was there
    return account;
}

__attribute__((noinline)) static int describe(const struct account *account) {
    if (account->locked) {  // <- here
        puts("locked");
        return 1;
    }
    return printf("number %d is open\n", account->number) < 0;
}

int main(void) {
    struct account *account = open_account(42);
    int failed = describe(account);
    free(account);
    return failed;
}
