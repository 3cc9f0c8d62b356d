#include "support/test.h"

#include <stdio.h>

#include "kernels/f32_near.h"
#include "kernels/reduce_f32.h"

static void one_case(const md_reduce_f32_kernel *k, md_reduce op, int64_t outer,
                     int64_t n, int64_t inner, int special)
{
    const size_t count = (size_t)(outer * n * inner);
    const size_t out = (size_t)(outer * inner);
    float *x = md_guard_alloc(count * 4);
    float *want = md_guard_alloc(out * 4), *got = md_guard_alloc(out * 4);
    md_reduce_f32_args a = {
        .x = x, .y = want, .outer = outer, .n = n, .inner = inner, .op = op
    };
    uint32_t seed = (uint32_t)(n + inner);
    const int exact = op == MD_REDUCE_MAX || op == MD_REDUCE_MIN;

    md_guard_fill_f32(x, count, 3, &seed);
    for (size_t i = 0; special && i < count; i += 37)
        x[i] = md_guard_random(&seed) % 2 ? NAN : -INFINITY;
    md_reduce_f32_select(0)->run(&a);
    a.y = got;
    k->run(&a);
    for (size_t i = 0; i < out; i++) {
        /* |x| <= 3 (squares 9): n roundings of at most 9 n * 6e-8 */
        const int ok = exact
                           ? f32_near_same(got[i], want[i])
                           : f32_near(got[i], want[i], 6e-7f, 9.0f * (float)n);

        if (!ok)
            fail_msg("%s: op %d [%d %d %d] [%zu]: %.9g, want %.9g", k->name,
                     (int)op, (int)outer, (int)n, (int)inner, i, (double)got[i],
                     (double)want[i]);
    }
    md_guard_free(x, count * 4);
    md_guard_free(want, out * 4);
    md_guard_free(got, out * 4);
}

static void test_reduce_f32__rows_equal_ref(void **state)
{
    static const int64_t inner[] = { 1, 3, 16, 21 };

    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int op = 0; op < MD_REDUCE_COUNT; op++)
            for (int64_t n = 1; n < 200; n += 1 + n / 4)
                for (int i = 0; i < 8; i++)
                    one_case(k, (md_reduce)op, 2, n, inner[i % 4], i / 4);
    }
}

static void test_reduce_f32__definition(void **state)
{
    static const float x[] = { 1, -2, 3, 4, -5, 6 };
    static const float want[MD_REDUCE_COUNT][2] = {
        { 2, 5 },  { 2 / 3.0f, 5 / 3.0f }, { 3, 6 }, { -2, -5 }, { 14, 77 },
        { 6, 15 },
    };

    (void)state;
    for (int op = 0; op < MD_REDUCE_COUNT; op++) {
        float y[2];
        const md_reduce_f32_args a = {
            .x = x, .y = y, .outer = 2, .n = 3, .inner = 1, .op = (md_reduce)op
        };

        md_reduce_f32_select(md_cpu_flags())->run(&a);
        assert_true(y[0] == want[op][0] && y[1] == want[op][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reduce_f32__rows_equal_ref),
        cmocka_unit_test(test_reduce_f32__definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
