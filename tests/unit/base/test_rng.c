#include "support/test.h"

#include "base/rng.h"

/* The first numbers of SplitMix64 for seed 1234567, as its authors' code and
 * others' tests have them. */
static void test_rng__is_splitmix(void **state)
{
    static const uint64_t want[] = { UINT64_C(6457827717110365317),
                                     UINT64_C(3203168211198807973),
                                     UINT64_C(9817491932198370423),
                                     UINT64_C(4593380528125082431),
                                     UINT64_C(16408922859458223821) };
    md_rng r = { 1234567 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(want); i++)
        assert_true(md_rng_next(&r) == want[i]);
}

static void test_rng__seeds_and_streams_differ(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 50; i++) {
        for (uint64_t k = 0; k < 50; k++) {
            md_rng a = md_rng_make(i, k), b = md_rng_make(i, k),
                   c = md_rng_make(k + 1000, i), d = md_rng_make(i, k + 1);

            assert_true(a.state == b.state);
            assert_true(a.state != c.state && a.state != d.state);
        }
    }
}

/* 60,000 draws below 6: each comes 10,000 times, give or take six deviations
 * of 91. */
static void test_rng__below_is_even(void **state)
{
    md_rng r = md_rng_make(7, 0);
    int count[6] = { 0 };

    (void)state;
    for (int i = 0; i < 60000; i++) {
        uint64_t v = md_rng_below(&r, 6);

        assert_true(v < 6);
        count[v]++;
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(count[i], 10000 - 548, 10000 + 548);
    assert_int_equal(md_rng_below(&r, 1), 0);
}

static void test_rng__uniform_is_in_0_to_1(void **state)
{
    md_rng r = md_rng_make(7, 1);
    double sum = 0.0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        double v = md_rng_uniform(&r);

        assert_true(v >= 0.0 && v < 1.0);
        sum += v;
    }
    /* Deviation of the mean: 1 / sqrt(12 * 10000) = 0.0029. */
    assert_true(sum > 4826.0 && sum < 5174.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng__is_splitmix),
        cmocka_unit_test(test_rng__seeds_and_streams_differ),
        cmocka_unit_test(test_rng__below_is_even),
        cmocka_unit_test(test_rng__uniform_is_in_0_to_1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
