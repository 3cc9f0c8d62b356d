#include "support/test.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

static void test_text__distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned want;
    } cases[] = {
        { "", "", 0 },
        { "", "abc", 3 },
        { "serve", "serve", 0 },
        { "serve", "SERVE", 0 },
        { "log-level", "log_level", 0 },
        { "serve", "srve", 1 },
        { "serve", "servee", 1 },
        { "serve", "serze", 1 },
        { "serve", "sevre", 1 }, /* neighbours swapped */
        { "kitten", "sitting", 3 },
        { "ab", "ba", 1 },
        { "abc", "xyz", 3 },
    };
    char longer[65];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        assert_int_equal(md_text_distance(cases[i].a, cases[i].b),
                         cases[i].want);
        assert_int_equal(md_text_distance(cases[i].b, cases[i].a),
                         cases[i].want);
    }
    memset(longer, 'a', 64);
    longer[64] = '\0';
    assert_int_equal(md_text_distance(longer, "a"), UINT_MAX);
    assert_int_equal(md_text_distance("a", longer), UINT_MAX);
    assert_int_equal(md_text_distance(longer + 1, longer + 1), 0);
}

static void test_text__nearest(void **state)
{
    static const char *const names[] = { "serve", "predict", "check", "inspect",
                                         "explain" };
    static const struct {
        const char *word, *want;
    } cases[] = {
        { "sreve", "serve" },
        { "predcit", "predict" },
        { "chekc", "check" },
        { "inspct", "inspect" },
        { "EXPLAIN", "explain" },
        { "xyzzy", NULL },
        { "", NULL },
        { "p", NULL },
        { "somethingelse", NULL },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_nearest n;
        const char *best;

        md_nearest_init(&n, cases[i].word);
        for (size_t k = 0; k < MD_COUNT(names); k++)
            md_nearest_offer(&n, names[k]);
        best = md_nearest_best(&n);
        if (cases[i].want) {
            assert_non_null(best);
            assert_string_equal(best, cases[i].want);
        } else {
            assert_null(best);
        }
    }
}

static void test_text__in_list(void **state)
{
    (void)state;
    assert_true(md_text_in_list("b", "a|b|c", '|'));
    assert_true(md_text_in_list("c", "a|b|c", '|'));
    assert_false(md_text_in_list("d", "a|b|c", '|'));
    assert_false(md_text_in_list("a|b", "a|b|c", '|'));
    assert_false(md_text_in_list("", "a|b|c", '|'));
    assert_false(md_text_in_list("ab", "a|abc", '|'));
}

static void test_text__trim(void **state)
{
    char a[] = " \t a b \t", b[] = "  ", c[] = "";

    (void)state;
    assert_string_equal(md_text_trim(a), "a b");
    assert_string_equal(md_text_trim(b), "");
    assert_string_equal(md_text_trim(c), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__distance),
        cmocka_unit_test(test_text__nearest),
        cmocka_unit_test(test_text__in_list),
        cmocka_unit_test(test_text__trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
