#include "support/test.h"

#include "kernels/peak_f32.h"

/* x = x / 2 + 1 is exact for these: 2 - 2^-n and the like. */
static void test_peak_f32__every_row_computes_the_same(void **state)
{
    (void)state;
    for (const md_peak_f32_kernel *k = md_peak_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (int64_t n = 0; n < 20; n++) {
            float x[MD_PEAK_N], want[MD_PEAK_N];

            for (int i = 0; i < MD_PEAK_N; i++)
                x[i] = want[i] = (float)i;
            md_peak_f32__ref(want, n);
            assert_true(k->run(x, n) >= n * MD_PEAK_N / 2);
            for (int i = 0; i < MD_PEAK_N; i++)
                assert_true(x[i] == want[i]);
        }
    }
}

static void test_peak_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_peak_f32_select(0)->run, md_peak_f32__ref);
    assert_int_equal(
        md_peak_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_f32__every_row_computes_the_same),
        cmocka_unit_test(test_peak_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
