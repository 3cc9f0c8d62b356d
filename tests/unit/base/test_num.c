#include "support/test.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

static const unsigned char *bytes(const char *s)
{
    return (const unsigned char *)s;
}

/* What the four parsers make of a text. */
static const struct {
    const char *text;
    md_num_status f32, f64, i64, u64;
} cases[] = {
    { "0", 0, 0, 0, 0 },
    { "-0", 0, 0, 0, 0 },
    { "-1", 0, 0, 0, MD_NUM_RANGE },
    { "1.5", 0, 0, MD_NUM_SYNTAX, MD_NUM_SYNTAX },
    { "1e2", 0, 0, MD_NUM_SYNTAX, MD_NUM_SYNTAX },
    { "9223372036854775807", 0, 0, 0, 0 },
    { "9223372036854775808", 0, 0, MD_NUM_RANGE, 0 },
    { "-9223372036854775808", 0, 0, 0, MD_NUM_RANGE },
    { "-9223372036854775809", 0, 0, MD_NUM_RANGE, MD_NUM_RANGE },
    { "18446744073709551615", 0, 0, MD_NUM_RANGE, 0 },
    { "18446744073709551616", 0, 0, MD_NUM_RANGE, MD_NUM_RANGE },
    { "99999999999999999999999", 0, 0, MD_NUM_RANGE, MD_NUM_RANGE },
    { "1e39", MD_NUM_RANGE, 0, MD_NUM_SYNTAX, MD_NUM_SYNTAX },
    { "1e400", MD_NUM_RANGE, MD_NUM_RANGE, MD_NUM_SYNTAX, MD_NUM_SYNTAX },
    { "-1e99999999999999999999", MD_NUM_RANGE, MD_NUM_RANGE, MD_NUM_SYNTAX,
      MD_NUM_SYNTAX },
    { "1e-99999999999999999999", 0, 0, MD_NUM_SYNTAX, MD_NUM_SYNTAX },
#define BAD MD_NUM_SYNTAX, MD_NUM_SYNTAX, MD_NUM_SYNTAX, MD_NUM_SYNTAX
    { "", BAD },
    { "-", BAD },
    { "+1", BAD },
    { "01", BAD },
    { "-01", BAD },
    { "00", BAD },
    { ".5", BAD },
    { "1.", BAD },
    { "1.e3", BAD },
    { "1e", BAD },
    { "1e+", BAD },
    { "-e1", BAD },
    { "--1", BAD },
    { "x", BAD },
    { "NaN", BAD },
    { "Infinity", BAD },
#undef BAD
};

static void test_num__grammar_and_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const unsigned char *p = bytes(cases[i].text);
        const unsigned char *end = p + strlen(cases[i].text);
        const unsigned char *after = NULL;
        float f32;
        double f64;
        int64_t i64;
        uint64_t u64;

        assert_int_equal(md_num_f32(&f32, &after, p, end), cases[i].f32);
        assert_int_equal(md_num_f64(&f64, &after, p, end), cases[i].f64);
        assert_int_equal(md_num_i64(&i64, &after, p, end), cases[i].i64);
        assert_int_equal(md_num_u64(&u64, &after, p, end), cases[i].u64);
        assert_int_equal(md_num_skip(&after, p, end),
                         cases[i].f64 == MD_NUM_SYNTAX ? MD_NUM_SYNTAX
                                                       : MD_NUM_OK);
        if (cases[i].f64 != MD_NUM_SYNTAX)
            assert_ptr_equal(after, end);
    }
}

static void test_num__integer_values(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = { { "0", 0 },
                 { "-0", 0 },
                 { "-7", -7 },
                 { "9223372036854775807", INT64_MAX },
                 { "-9223372036854775808", INT64_MIN } };
    const unsigned char *max = bytes("18446744073709551615");
    const unsigned char *after;
    int64_t x;
    uint64_t u;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        const unsigned char *p = bytes(rows[i].text);

        assert_int_equal(md_num_i64(&x, &after, p, p + strlen(rows[i].text)),
                         MD_NUM_OK);
        assert_true(x == rows[i].want);
    }
    assert_int_equal(md_num_u64(&u, &after, max, max + 20), MD_NUM_OK);
    assert_true(u == UINT64_MAX);
}

static void check_i64(const char *text, md_num_status want, int64_t x)
{
    const unsigned char *p = bytes(text), *after = NULL;
    int64_t got = 0;
    md_num_status s = md_num_i64(&got, &after, p, p + strlen(text));

    if (s != want || (s == MD_NUM_OK && got != x))
        fail_msg("%s: status %d, %lld", text, s, (long long)got);
}

static void check_u64(const char *text, md_num_status want, uint64_t x)
{
    const unsigned char *p = bytes(text), *after = NULL;
    uint64_t got = 0;
    md_num_status s = md_num_u64(&got, &after, p, p + strlen(text));

    if (s != want || (s == MD_NUM_OK && got != x))
        fail_msg("%s: status %d, %llu", text, s, (unsigned long long)got);
}

/* Around each power of two and of ten, with both signs. */
static void test_num__integers_at_the_steps(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int d = -1; d <= 1; d++) {
            uint64_t x = ((uint64_t)1 << bit) + (uint64_t)(int64_t)d;
            bool fits = x <= INT64_MAX;
            char text[32] = "-";

            snprintf(text + 1, sizeof(text) - 1, "%llu", (unsigned long long)x);
            check_u64(text + 1, MD_NUM_OK, x);
            check_i64(text + 1, fits ? MD_NUM_OK : MD_NUM_RANGE, (int64_t)x);
            check_u64(text, x == 0 ? MD_NUM_OK : MD_NUM_RANGE, 0);
            check_i64(text,
                      x <= (uint64_t)INT64_MAX + 1 ? MD_NUM_OK : MD_NUM_RANGE,
                      (int64_t)(0 - x));
        }
    }
}

/* 1 to 40 nines, and ones with as many zeros: too large from 19 or 20 on,
 * never taken for what is left of them after an overflow. */
static void test_num__integers_of_every_length(void **state)
{
    uint64_t nines = 0, power = 1;

    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        char a[48] = "", b[48] = "1";

        memset(a, '9', n);
        memset(b + 1, '0', n);
        nines = nines * 10 + 9;
        power *= 10;
        check_u64(a, n < 20 ? MD_NUM_OK : MD_NUM_RANGE, nines);
        check_u64(b, n < 20 ? MD_NUM_OK : MD_NUM_RANGE, power);
        check_i64(a, n < 19 ? MD_NUM_OK : MD_NUM_RANGE, (int64_t)nines);
        check_i64(b, n < 19 ? MD_NUM_OK : MD_NUM_RANGE, (int64_t)power);
    }
}

/* What stands behind a number is not part of it, and not looked at. */
static void test_num__ends_where_the_number_ends(void **state)
{
    static const struct {
        const char *text;
        size_t n; /* of the number, for md_num_f64 */
    } rows[] = {
        { "12]", 2 },      { "12 ", 2 },   { "12,3", 2 },       { "0x10", 1 },
        { "1.5.5", 3 },    { "1e5e5", 3 }, { "-0-", 2 },        { "1e+5+", 4 },
        { "0.0f", 3 },     { "1_000", 1 }, { "12\xc2\xb2", 2 }, { "1E5", 3 },
        { "1.25e-3x", 7 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        const unsigned char *p = bytes(rows[i].text), *after = NULL;
        const unsigned char *end = p + strlen(rows[i].text);
        double d, alone;
        float f;

        assert_int_equal(md_num_f64(&d, &after, p, end), MD_NUM_OK);
        assert_int_equal(after - p, rows[i].n);
        assert_int_equal(md_num_f64(&alone, &after, p, p + rows[i].n),
                         MD_NUM_OK);
        assert_true(d == alone);
        assert_int_equal(md_num_f32(&f, &after, p, end), MD_NUM_OK);
        assert_int_equal(after - p, rows[i].n);
        assert_true(f == (float)d);
        assert_int_equal(md_num_skip(&after, p, end), MD_NUM_OK);
        assert_int_equal(after - p, rows[i].n);
    }
}

/* The parsers agree with the C library, bit for bit. */
static void check_text(const char *text)
{
    const unsigned char *p = bytes(text), *after;
    float f, f_want = strtof(text, NULL);
    double d, d_want = strtod(text, NULL);

    if (isfinite(f_want)) {
        assert_int_equal(md_num_f32(&f, &after, p, p + strlen(text)),
                         MD_NUM_OK);
        if (f != f_want || signbit(f) != signbit(f_want))
            fail_msg("%s: %.9g, expected %.9g", text, (double)f,
                     (double)f_want);
    }
    assert_int_equal(md_num_f64(&d, &after, p, p + strlen(text)), MD_NUM_OK);
    if (d != d_want || signbit(d) != signbit(d_want))
        fail_msg("%s: %.17g, expected %.17g", text, d, d_want);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void test_num__hard_cases(void **state)
{
    static const char *const texts[] = {
        "0.4980392",
        "0.1",
        "16777217",                     /* 2^24 + 1: a tie of float */
        "16777217.0000000001",          /* just above it */
        "16777219",                     /* a tie that goes up */
        "1.00000005960464477539062501", /* just above 1 + 2^-24 */
        "1.000000059604644775390625",   /* 1 + 2^-24 itself */
        "9007199254740993",             /* 2^53 + 1: a tie of double */
        "0.500000029802322387695312",
        "1e-45",
        "7.006492321624085e-46", /* half of the least float: to zero */
        "7.0064923216240862e-46",
        "1.1754943157898258e-38", /* around FLT_MIN */
        "1.17549435e-38",
        "3.4028234663852886e38", /* FLT_MAX */
        "3.4028235677973364e38", /* rounds down to it */
        "2.2250738585072011e-308",
        "4.9406564584124654e-324",
        "1.7976931348623157e308",
        "123456789012345678901234567890",
        "0.000000000000000000000000000000000000000000000000000000001",
        "100000000000000000000000000000000000000.0",
        "0.00e-5",
        "-0.0",
        "1E+05",
    };
    char zeros[600];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(texts); i++)
        check_text(texts[i]);
    /* The last of many digits decides a tie. */
    snprintf(zeros, sizeof(zeros), "16777217.%0490d1", 0);
    check_text(zeros);
}

static void test_num__random_agree_with_libc(void **state)
{
    uint64_t x = 88172645463325252u;
    char text[64];

    (void)state;
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = next_random(&x);
        double d;
        float f;

        memcpy(&d, &bits, sizeof(d));
        memcpy(&f, &bits, sizeof(f));
        if (isfinite(d)) {
            snprintf(text, sizeof(text), "%.*g", 1 + (int)(bits % 20), d);
            check_text(text);
        }
        if (isfinite(f)) {
            snprintf(text, sizeof(text), "%.*g", 5 + (int)(bits % 15),
                     (double)f);
            check_text(text);
        }
        snprintf(text, sizeof(text), "%.*f", (int)(bits % 18),
                 (double)(bits >> 11) * 0x1p-53);
        check_text(text);
    }
}

static void test_num__too_long(void **state)
{
    static char text[MD_NUM_LENGTH_MAX + 2];
    const unsigned char *after;
    double x;

    (void)state;
    memset(text, '7', sizeof(text));
    text[1] = '.';
    assert_int_equal(
        md_num_f64(&x, &after, bytes(text), bytes(text) + MD_NUM_LENGTH_MAX),
        MD_NUM_OK);
    assert_int_equal(md_num_f64(&x, &after, bytes(text),
                                bytes(text) + MD_NUM_LENGTH_MAX + 1),
                     MD_NUM_RANGE);
}

static void test_num__put_texts(void **state)
{
    static const struct {
        float x;
        const char *want;
    } rows[] = {
        { 0.0F, "0.0" },
        { -0.0F, "-0.0" },
        { 1.0F, "1.0" },
        { -1.0F, "-1.0" },
        { 0.1F, "0.1" },
        { 0.4980392F, "0.4980392" },
        { 255.0F, "255.0" },
        { 1e-4F, "0.0001" },
        { 1e-5F, "1e-05" },
        { 1.5e-7F, "1.5e-07" },
        { 1e15F, "1000000000000000.0" },
        { 1e16F, "1e+16" },
        { 16777216.0F, "16777216.0" },
        { 3.4028235e38F, "3.4028235e+38" },
        { 1e-45F, "1e-45" },
        { 1.1754944e-38F, "1.1754944e-38" },
        { 33554432.0F, "33554432.0" },
    };
    char buf[MD_NUM_SIZE];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        size_t n = md_num_put_f32(buf, rows[i].x);

        assert_int_equal(n, strlen(buf));
        assert_string_equal(buf, rows[i].want);
    }
    md_num_put_f64(buf, 0.1);
    assert_string_equal(buf, "0.1");
    md_num_put_f64(buf, 3.0);
    assert_string_equal(buf, "3.0");
    md_num_put_f64(buf, 1.0 / 3);
    assert_string_equal(buf, "0.3333333333333333");
    md_num_put_f64(buf, -1.7976931348623157e308);
    assert_string_equal(buf, "-1.7976931348623157e+308");
}

/* Every float of a wide sample reads back.  Now and then the C library finds
 * a shorter text: one half way between two floats, whose tie goes our way. */
static void test_num__put_reads_back(void **state)
{
    char buf[MD_NUM_SIZE], fewest[MD_NUM_SIZE];
    int n_all = 0, n_longer = 0;

    (void)state;
    for (uint32_t bits = 1; bits < 0x7f800000; bits += 49999) {
        int digits, n = 0, zeros = 0;
        float x;

        memcpy(&x, &bits, sizeof(x));
        assert_in_range(md_num_put_f32(buf, x), 3, MD_NUM_SIZE - 1);
        if (strtof(buf, NULL) != x)
            fail_msg("%s, expected %.9g", buf, (double)x);
        for (digits = 1; digits < 9; digits++) {
            snprintf(fewest, sizeof(fewest), "%.*e", digits - 1, (double)x);
            if (strtof(fewest, NULL) == x)
                break;
        }
        for (const char *p = buf + strspn(buf, "0."); *p && *p != 'e'; p++) {
            n += *p != '.';
            zeros = *p == '0' ? zeros + 1 : *p == '.' ? zeros : 0;
        }
        n_all++;
        n_longer += n - zeros > digits;
    }
    assert_true(n_longer < n_all / 100);
}

static void test_num__strtod_tells_where_it_ended(void **state)
{
    const char *text = "-1.25e2x";
    char *end;

    (void)state;
    assert_true(md_num_strtod(text, &end) == -125.0);
    assert_ptr_equal(end, text + 7);
    assert_true(md_num_strtod("x", &end) == 0.0);
    assert_string_equal(end, "x");
}

/* A program that embeds the library may have set a locale with commas. */
static void test_num__locale_does_not_matter(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8",
                                         "fr_FR.UTF-8" };
    char buf[MD_NUM_SIZE];
    const unsigned char *text = bytes("0.12345678901234567890");
    const unsigned char *after;
    md_num_status s;
    bool set = false;
    double d;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(names) && !set; i++)
        set = setlocale(LC_ALL, names[i]) != NULL;
    if (!set)
        skip();
    md_num_put_f64(buf, 0.5);
    assert_string_equal(buf, "0.5");
    assert_true(md_num_strtod("1.5", NULL) == 1.5);
    s = md_num_f64(&d, &after, text, text + 22);
    setlocale(LC_ALL, "C");
    assert_int_equal(s, MD_NUM_OK);
    assert_true(d == 0.12345678901234567890);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_num__grammar_and_range),
        cmocka_unit_test(test_num__integer_values),
        cmocka_unit_test(test_num__integers_at_the_steps),
        cmocka_unit_test(test_num__integers_of_every_length),
        cmocka_unit_test(test_num__ends_where_the_number_ends),
        cmocka_unit_test(test_num__hard_cases),
        cmocka_unit_test(test_num__random_agree_with_libc),
        cmocka_unit_test(test_num__too_long),
        cmocka_unit_test(test_num__put_texts),
        cmocka_unit_test(test_num__put_reads_back),
        cmocka_unit_test(test_num__strtod_tells_where_it_ended),
        cmocka_unit_test(test_num__locale_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
