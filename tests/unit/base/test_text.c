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

/* By the definition: the least of what may be done with the last letters. */
static unsigned slow_distance(const char *a, size_t n_a, const char *b,
                              size_t n_b)
{
    unsigned best, d;

    if (n_a == 0 || n_b == 0)
        return (unsigned)(n_a + n_b);
    best = slow_distance(a, n_a - 1, b, n_b) + 1;
    d = slow_distance(a, n_a, b, n_b - 1) + 1;
    best = d < best ? d : best;
    d = slow_distance(a, n_a - 1, b, n_b - 1) + (a[n_a - 1] != b[n_b - 1]);
    best = d < best ? d : best;
    if (n_a > 1 && n_b > 1 && a[n_a - 1] == b[n_b - 2] &&
        a[n_a - 2] == b[n_b - 1]) {
        d = slow_distance(a, n_a - 2, b, n_b - 2) + 1;
        best = d < best ? d : best;
    }
    return best;
}

/* Word number i over a, b and c: all of up to four letters are 121. */
static size_t make_word(char word[8], unsigned i)
{
    size_t n = 0;

    for (; i > 0; i = (i - 1) / 3)
        word[n++] = (char)('a' + (i - 1) % 3);
    word[n] = '\0';
    return n;
}

static void test_text__distance_of_all_short_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 121; i++) {
        for (unsigned k = 0; k < 121; k++) {
            char a[8], b[8];
            size_t n_a = make_word(a, i), n_b = make_word(b, k);
            unsigned want = slow_distance(a, n_a, b, n_b);

            if (md_text_distance(a, b) != want)
                fail_msg("%s to %s: %u, expected %u", a, b,
                         md_text_distance(a, b), want);
        }
    }
}

/* At every size what is shown is the beginning of the whole, and is marked. */
static void test_text__quote_at_every_size(void **state)
{
    static const char text[] = "ab\n\xc3\xa4\x01\xe4\xb8\xad'\xff\\z";
    static const char want[] = "'ab\\n\xc3\xa4\\x01\xe4\xb8\xad\\'\\xff\\\\z'";
    size_t n = sizeof(text) - 1;

    (void)state;
    for (size_t size = 8; size < sizeof(want) + 2; size++) {
        char buf[64];
        size_t shown;

        memset(buf, '!', sizeof(buf));
        md_text_quote(buf, size, text, n);
        assert_int_equal(buf[size], '!');
        shown = strlen(buf);
        assert_true(shown < size);
        if (size >= sizeof(want)) {
            assert_string_equal(buf, want);
            continue;
        }
        assert_string_equal(buf + shown - 4, "'...");
        assert_memory_equal(buf, want, shown - 4);
        /* an escape or a character takes at most four bytes */
        assert_true(shown + 4 >= size - 1);
    }
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
        cmocka_unit_test(test_text__distance_of_all_short_words),
        cmocka_unit_test(test_text__quote_at_every_size),
        cmocka_unit_test(test_text__quote),
        cmocka_unit_test(test_text__trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
