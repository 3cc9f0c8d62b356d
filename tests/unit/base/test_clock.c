#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

static void test_clock__iso(void **state)
{
    static const struct {
        int64_t ns;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -5, "1970-01-01T00:00:00.000Z" },
        { 951827696789000000, "2000-02-29T12:34:56.789Z" },
        { 1767225599999999999, "2025-12-31T23:59:59.999Z" },
        { INT64_MAX, "2262-04-11T23:47:16.854Z" },
    };
    char buf[MD_CLOCK_ISO_SIZE];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_clock_iso(buf, cases[i].ns);
        assert_string_equal(buf, cases[i].want);
    }
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Each day there is, counted up month by month. */
static void test_clock__every_day(void **state)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31 };
    const int64_t day_ns = (int64_t)86400 * 1000000000;
    int64_t day = 0;

    (void)state;
    for (int year = 1970; year < 2262; year++) {
        for (int month = 0; month < 12; month++) {
            int n = lengths[month] + (month == 1 && is_leap(year));

            for (int i = 1; i <= n; i++, day++) {
                char want[64], got[MD_CLOCK_ISO_SIZE];

                snprintf(want, sizeof(want), "%04d-%02d-%02dT00:00:00.000Z",
                         year, month + 1, i);
                md_clock_iso(got, day * day_ns);
                assert_string_equal(got, want);
                md_clock_iso(got, (day + 1) * day_ns - 1);
                assert_memory_equal(got, want, 10);
                assert_string_equal(got + 10, "T23:59:59.999Z");
            }
        }
    }
}

/* Milliseconds are cut, not rounded into the next second. */
static void test_clock__every_millisecond(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < 3000; ms++) {
        char want[64], got[MD_CLOCK_ISO_SIZE];

        snprintf(want, sizeof(want), "1970-01-01T00:00:%02d.%03dZ",
                 (int)(ms / 1000), (int)(ms % 1000));
        for (int64_t ns = 0; ns < 1000000; ns += 333333) {
            md_clock_iso(got, ms * 1000000 + ns);
            assert_string_equal(got, want);
        }
        md_clock_iso(got, ms * 1000000 + 999999);
        assert_string_equal(got, want);
    }
}

static void test_clock__runs_forward(void **state)
{
    int64_t a = md_clock_ns();
    int64_t b = md_clock_ns();

    (void)state;
    assert_true(b >= a);
    assert_true(md_clock_wall_ns() > 1700000000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__iso),
        cmocka_unit_test(test_clock__every_day),
        cmocka_unit_test(test_clock__every_millisecond),
        cmocka_unit_test(test_clock__runs_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
