#include "support/test.h"

#include "net/slice.h"

static void test_slice__compares(void **state)
{
    (void)state;
    assert_true(md_slice_eq((md_slice){ "abc", 2 }, "ab"));
    assert_false(md_slice_eq((md_slice){ "abc", 2 }, "abc"));
    assert_true(md_slice_eq((md_slice){ NULL, 0 }, ""));
    assert_true(md_slice_eq_nocase(md_slice_of("aZ-[@"), "Az-[@"));
    /* '@' and '`', '[' and '{' differ by the bit of case only */
    assert_false(md_slice_eq_nocase(md_slice_of("@["), "`{"));
    assert_false(md_slice_eq_nocase(md_slice_of("ab"), "abc"));
}

static void test_slice__trims(void **state)
{
    (void)state;
    assert_true(md_slice_eq(md_slice_trim(md_slice_of(" \ta b\t ")), "a b"));
    assert_true(md_slice_eq(md_slice_trim(md_slice_of(" \t ")), ""));
    assert_true(md_slice_eq(md_slice_trim((md_slice){ NULL, 0 }), ""));
}

static void test_slice__lists(void **state)
{
    static const char *want[] = { "a", "", "b c", "" };
    md_slice list = md_slice_of("a,,\tb c ,");
    md_slice item;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(md_slice_next_item(&list, &item));
        assert_true(md_slice_eq(item, want[i]));
    }
    assert_false(md_slice_next_item(&list, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice__compares),
        cmocka_unit_test(test_slice__trims),
        cmocka_unit_test(test_slice__lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
