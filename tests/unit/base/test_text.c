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

static void test_text__quote(void **state)
{
    static const struct {
        const char *text;
        size_t n, size;
        const char *want;
    } cases[] = {
        { NULL, 0, 8, "''" },
        { "abc", 3, 8, "'abc'" },
        { "abcde", 5, 8, "'abcde'" }, /* seven and the NUL: just fits */
        { "abcdef", 6, 8, "'ab'..." },
        { "abcdef", 6, 9, "'abcdef'" },
        { "abcdefgh", 8, 9, "'abc'..." },
        { "it's", 4, 32, "'it\\'s'" },
        { "a\\b", 3, 32, "'a\\\\b'" },
        { "a\nb\r\tc", 6, 32, "'a\\nb\\r\\tc'" },
        { "\0x", 2, 32, "'\\x00x'" },
        { "\x1b[31m\x7f", 6, 32, "'\\x1b[31m\\x7f'" },
        { "\xc3\xa4", 2, 32, "'\xc3\xa4'" },
        { "\xc2\x85\xc2\x9b\xc2\xa0", 6, 32, "'\\xc2\\x85\\xc2\\x9b\xc2\xa0'" },
        { "\xff\x80z", 3, 32, "'\\xff\\x80z'" },
        { "\xe4\xb8", 2, 32, "'\\xe4\\xb8'" },
        /* neither a character nor an escape is split */
        { "a\xe4\xb8\xad\xe4\xb8\xad", 7, 9, "'a'..." },
        { "\n\n\n\n", 4, 8, "'\\n'..." },
        { "\x01\x01", 2, 8, "''..." },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char buf[40];

        memset(buf, '!', sizeof(buf));
        assert_ptr_equal(
            md_text_quote(buf, cases[i].size, cases[i].text, cases[i].n), buf);
        assert_string_equal(buf, cases[i].want);
        assert_int_equal(buf[cases[i].size], '!');
    }
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
        cmocka_unit_test(test_text__quote),
        cmocka_unit_test(test_text__trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
