#include "support/test.h"

#include <string.h>

#include "base/base64.h"

/* RFC 4648 section 10, and bytes of all kinds. */
static const struct {
    const char *plain, *coded;
} CASES[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xff\xfe\xfb", "//77" },
};

static void test_base64__both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(CASES); i++) {
        const size_t n = strlen(CASES[i].plain);
        const size_t n_coded = strlen(CASES[i].coded);
        unsigned char plain[16];
        char coded[16];
        size_t size = 0;

        assert_int_equal(md_base64_encoded_size(n), n_coded);
        md_base64_encode(coded, CASES[i].plain, n);
        assert_memory_equal(coded, CASES[i].coded, n_coded);
        assert_in_range(n, 0, md_base64_decoded_max(n_coded));
        assert_true(md_base64_decode(plain, &size, coded, n_coded));
        assert_int_equal(size, n);
        assert_memory_equal(plain, CASES[i].plain, n);
    }
}

static void test_base64__without_padding(void **state)
{
    unsigned char plain[16];
    size_t size = 0;

    (void)state;
    assert_true(md_base64_decode(plain, &size, "Zm8", 3));
    assert_int_equal(size, 2);
    assert_true(md_base64_decode(plain, &size, "Zg", 2));
    assert_int_equal(size, 1);
}

static void test_base64__refuses(void **state)
{
    static const char *const bad[] = { "Z",     "Zg=",  "Zg===", "Z===",
                                       "Zm9v=", "Zh==", "Zm9=",  "Zm 9",
                                       "Zm9-",  "Zm9_", "====",  "Zg==Zg==" };
    unsigned char plain[16];
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        if (md_base64_decode(plain, &size, bad[i], strlen(bad[i])))
            fail_msg("'%s' is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64__both_ways),
        cmocka_unit_test(test_base64__without_padding),
        cmocka_unit_test(test_base64__refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
