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

/* What the first bytes of 2, 3 and 4 stand for, by arithmetic; 0: nothing. */
static uint32_t decode(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint32_t rune = n == 2   ? p[0] - 0xc0u
                    : n == 3 ? p[0] - 0xe0u
                             : p[0] - 0xf0u;

    for (size_t i = 1; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
        rune = rune * 64 + (p[i] - 0x80u);
    }
    if (rune < least[n] || rune > 0x10ffff ||
        (rune >= 0xd800 && rune <= 0xdfff))
        return 0;
    return rune;
}

/* All sequences of two bytes, and of three and four with every first, second
 * and third one. */
static void test_utf8__every_sequence(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        size_t n = a < 0x80   ? 1
                   : a < 0xc0 ? 0
                   : a < 0xe0 ? 2
                   : a < 0xf0 ? 3
                   : a < 0xf8 ? 4
                              : 0;

        for (unsigned b = 0; b < 256; b++) {
            for (unsigned c = n < 3 ? 0x80 : 0; c < (n < 3 ? 0x81 : 256); c++) {
                const unsigned char text[] = { (unsigned char)a,
                                               (unsigned char)b,
                                               (unsigned char)c, 0xbf };
                size_t want = n < 2 ? n : decode(text, n) ? n : 0;

                if (md_utf8_next(text, 4) != want)
                    fail_msg("%02x %02x %02x bf: %zu, expected %zu", a, b, c,
                             md_utf8_next(text, 4), want);
                /* cut short it is none */
                for (size_t have = 1; have < want; have++)
                    assert_int_equal(md_utf8_next(text, have), 0);
            }
        }
    }
}

/* Of mixed text the longest part that fits, for every size. */
static void test_utf8__cut_fits(void **state)
{
    char text[512];
    size_t ends[200], n = 0, n_ends = 0;

    (void)state;
    for (uint32_t i = 0; i < 150; i++) {
        static const uint32_t from[] = { 'a', 0xe4, 0x4e2d, 0x1f600 };

        n += md_utf8_put(text + n, from[(i * 7 + i / 5) % 4] + i % 20);
        ends[n_ends++] = n;
    }
    for (size_t max = 0; max <= n; max++) {
        size_t want = 0;

        for (size_t i = 0; i < n_ends && ends[i] <= max; i++)
            want = ends[i];
        assert_int_equal(md_utf8_cut(text, n, max), want);
        assert_true(md_utf8_valid(text, want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__valid),
        cmocka_unit_test(test_utf8__cut),
        cmocka_unit_test(test_utf8__every_sequence),
        cmocka_unit_test(test_utf8__cut_fits),
        cmocka_unit_test(test_utf8__put_every_rune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
