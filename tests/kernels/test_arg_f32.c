#include "support/test.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/arg_f32.h"
#include "kernels/f32_near.h"

/* How the values are drawn: few different ones, so that there are equals. */
enum fill {
    FILL_FEW,
    FILL_MANY,
    FILL_SPECIAL, /* NaN and infinities among them */
    FILL_COUNT
};

static void fill(float *x, size_t n, enum fill how, uint32_t *seed)
{
    if (how == FILL_SPECIAL)
        f32_near_fill(x, n, 3, seed);
    else
        md_guard_fill_f32(x, n, 3, seed);
    for (size_t i = 0; i < n && how == FILL_FEW; i++)
        x[i] = (float)(int)x[i];
}

static void one_case(const md_arg_f32_kernel *k, int64_t n, int64_t inner,
                     enum fill how, int flags)
{
    const int64_t outer = 2, stride = inner == 1 ? 1 : inner + 1;
    const size_t count = (size_t)(outer * n * stride);
    const size_t out = (size_t)(outer * inner) * sizeof(int64_t);
    float *x = md_guard_alloc(count * 4);
    int64_t *want = md_guard_alloc(out), *got = md_guard_alloc(out);
    uint32_t seed = (uint32_t)(n * 7 + inner);
    md_arg_f32_args a = { .y = want,
                          .x = x,
                          .outer = outer,
                          .n = n,
                          .inner = inner,
                          .outer_stride = n * stride,
                          .stride = stride,
                          .min = flags & 1,
                          .last = flags & 2 };

    fill(x, count, how, &seed);
    md_arg_f32_select(0)->run(&a);
    a.y = got;
    k->run(&a);
    for (int64_t i = 0; i < outer * inner; i++)
        if (got[i] != want[i])
            fail_msg("%s: n %d inner %d flags %d [%d]: %d, want %d", k->name,
                     (int)n, (int)inner, flags, (int)i, (int)got[i],
                     (int)want[i]);
    md_guard_free(x, count * 4);
    md_guard_free(want, out);
    md_guard_free(got, out);
}

static void test_arg_f32__rows_equal_ref(void **state)
{
    static const int64_t inner[] = { 1, 2, 16, 21, 64, 67, 130 };

    (void)state;
    for (const md_arg_f32_kernel *k = md_arg_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int64_t n = 1; n < 150; n += 1 + n / 6)
            for (size_t i = 0; i < MD_COUNT(inner); i++)
                for (int how = 0; how < 4 * FILL_COUNT; how++)
                    one_case(k, n, inner[i], (enum fill)(how / 4), how % 4);
    }
}

static void test_arg_f32__definition(void **state)
{
    static const float x[] = { 1, 3, -2, 3, -2, NAN, 3, NAN };
    static const int64_t want[][2] = { { 1, 2 }, { 3, 4 } };

    (void)state;
    for (int flags = 0; flags < 4; flags++) {
        int64_t y;
        md_arg_f32_args a = { .y = &y,
                              .x = x,
                              .outer = 1,
                              .n = 5,
                              .inner = 1,
                              .stride = 1,
                              .min = flags & 1,
                              .last = flags & 2 };

        md_arg_f32_select(0)->run(&a);
        assert_int_equal(y, want[flags / 2][flags % 2]);
        a.n = 8; /* NaN is beyond all */
        md_arg_f32_select(0)->run(&a);
        assert_int_equal(y, flags & 2 ? 7 : 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arg_f32__rows_equal_ref),
        cmocka_unit_test(test_arg_f32__definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
