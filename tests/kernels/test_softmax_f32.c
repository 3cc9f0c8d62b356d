#include "support/test.h"

#include <stdio.h>

#include "kernels/f32_near.h"
#include "kernels/softmax_f32.h"

static void one_case(const md_softmax_f32_kernel *k, int64_t rows, int64_t n,
                     int64_t inner, bool log, float range)
{
    const size_t count = (size_t)(rows * n * inner);
    float *x = md_guard_alloc(count * 4), *want = md_guard_alloc(count * 4);
    uint32_t seed = (uint32_t)n;

    md_guard_fill_f32(x, count, range, &seed);
    md_softmax_f32_select(0)->run(want, x, rows, n, inner, log);
    k->run(x, x, rows, n, inner, log); /* in place */
    for (size_t i = 0; i < count; i++)
        if (!f32_near(x[i], want[i], log ? 2e-6f : 1e-6f, log ? 1 : 1e-30f))
            fail_msg("%s: n %d inner %d log %d [%zu]: %.9g, want %.9g", k->name,
                     (int)n, (int)inner, log, i, (double)x[i], (double)want[i]);
    md_guard_free(x, count * 4);
    md_guard_free(want, count * 4);
}

static void test_softmax_f32__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int64_t n = 1; n < 200; n += 1 + n / 8)
            for (int log = 0; log < 2; log++) {
                one_case(k, 3, n, 1, log, 4);
                one_case(k, 1, n, 1, log, 40);
                one_case(k, 2, n, 1 + n % 37, log, 4);
            }
    }
}

/* Huge inputs must not overflow; masks of -Inf are zeros; NaN spreads. */
static void test_softmax_f32__special(void **state)
{
    (void)state;
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        float x[3] = { 1e38f, 1e38f, -INFINITY };
        float none[2] = { -INFINITY, -INFINITY };
        float nan[3] = { 1, NAN, 3 };

        if (k->required & ~md_cpu_flags())
            continue;
        k->run(x, x, 1, 3, 1, false);
        assert_true(x[0] == 0.5f && x[1] == 0.5f && x[2] == 0);
        k->run(none, none, 1, 2, 1, false);
        assert_true(isnan(none[0]) && isnan(none[1]));
        k->run(nan, nan, 1, 3, 1, false);
        assert_true(isnan(nan[0]) && isnan(nan[1]) && isnan(nan[2]));
        nan[0] = 1, nan[1] = NAN, nan[2] = 3;
        k->run(nan, nan, 1, 3, 1, true);
        assert_true(isnan(nan[0]) && isnan(nan[2]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_f32__rows_equal_ref),
        cmocka_unit_test(test_softmax_f32__special),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
