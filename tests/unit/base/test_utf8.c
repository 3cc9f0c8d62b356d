#include "support/test.h"

#include <string.h>

#include "base/utf8.h"

static void test_utf8__valid(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        { "", true },
        { "plain", true },
        { "\xc3\xa4", true },
        { "\xe4\xb8\xad\xe6\x96\x87", true },
        { "\xf0\x9f\x98\x80", true },
        { "\xf4\x8f\xbf\xbf", true },  /* U+10FFFF */
        { "\xf4\x90\x80\x80", false }, /* one more */
        { "\xc0\x80", false },         /* overlong NUL */
        { "\xc1\xbf", false },
        { "\xe0\x80\x80", false },
        { "\xe0\x9f\xbf", false },
        { "\xf0\x80\x80\x80", false },
        { "\xed\xa0\x80", false }, /* a surrogate */
        { "\xed\x9f\xbf", true },
        { "\xee\x80\x80", true },
        { "\x80", false },
        { "\xff", false },
        { "\xc3", false },
        { "\xe4\xb8", false },
        { "\xf0\x9f\x98", false },
        { "\xc3\x28", false },
        { "\xe4\xb8\x28", false },
        { "\xf0\x9f\x98\x28", false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(md_utf8_valid(cases[i].text, strlen(cases[i].text)),
                         cases[i].valid);
}

static void test_utf8__cut(void **state)
{
    static const struct {
        const char *text;
        size_t max, want;
    } cases[] = {
        { "", 0, 0 },
        { "abc", 0, 0 },
        { "abc", 2, 2 },
        { "abc", 3, 3 },
        { "abc", 9, 3 },
        { "a\xc3\xa4z", 1, 1 },
        { "a\xc3\xa4z", 2, 1 },
        { "a\xc3\xa4z", 3, 3 },
        { "\xe4\xb8\xad\xe6\x96\x87", 2, 0 },
        { "\xe4\xb8\xad\xe6\x96\x87", 3, 3 },
        { "\xe4\xb8\xad\xe6\x96\x87", 4, 3 },
        { "\xe4\xb8\xad\xe6\x96\x87", 5, 3 },
        { "\xf0\x9f\x98\x80!", 1, 0 },
        { "\xf0\x9f\x98\x80!", 3, 0 },
        { "\xf0\x9f\x98\x80!", 4, 4 },
        /* no character is that long: not UTF-8, cut where it was asked */
        { "\x80\x80\x80\x80\x80\x80", 5, 5 },
        { "\x80\x80", 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(
            md_utf8_cut(cases[i].text, strlen(cases[i].text), cases[i].max),
            cases[i].want);
}

/* Each character that exists is encoded so that it is found valid. */
static void test_utf8__put_every_rune(void **state)
{
    (void)state;
    for (uint32_t rune = 1; rune <= 0x10ffff; rune++) {
        char text[4];
        size_t n = md_utf8_put(text, rune);
        size_t want = rune < 0x80      ? 1
                      : rune < 0x800   ? 2
                      : rune < 0x10000 ? 3
                                       : 4;

        if (n != want)
            fail_msg("U+%x has %zu bytes", rune, n);
        if (rune >= 0xd800 && rune <= 0xdfff)
            n = 0;
        if (md_utf8_next((unsigned char *)text, want) != n)
            fail_msg("U+%x is not read as it was written", rune);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__valid),
        cmocka_unit_test(test_utf8__cut),
        cmocka_unit_test(test_utf8__put_every_rune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
