#include "support/test.h"

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
        cmocka_unit_test(test_clock__runs_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
