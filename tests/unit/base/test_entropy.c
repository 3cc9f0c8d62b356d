#include "support/test.h"

#include <string.h>

#include "base/entropy.h"

static void test_entropy__fills_all(void **state)
{
    unsigned char a[256], b[256], any[256] = { 0 };
    int n_equal = 0;

    (void)state;
    for (int run = 0; run < 16; run++) {
        md_entropy(a, sizeof(a));
        md_entropy(b, sizeof(b));
        for (size_t i = 0; i < sizeof(a); i++) {
            n_equal += a[i] == b[i];
            any[i] |= (unsigned char)(a[i] | b[i]);
        }
    }
    for (size_t i = 0; i < sizeof(any); i++)
        assert_true(any[i] != 0);        /* 32 zero bytes: 2^-256 */
    assert_true(n_equal < 16 * 256 / 8); /* 1 in 256 expected */
}

static void test_entropy__writes_no_more(void **state)
{
    unsigned char a[8] = { 0 };

    (void)state;
    md_entropy(a, 0);
    assert_int_equal(a[0], 0);
    md_entropy(a, 4);
    for (int i = 4; i < 8; i++)
        assert_int_equal(a[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entropy__fills_all),
        cmocka_unit_test(test_entropy__writes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
