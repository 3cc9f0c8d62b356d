#include "support/test.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/f32_near.h"
#include "kernels/reduce_f32.h"

/* [outer][m][n][inner], rows of m with a gap of 2 between them. */
typedef struct shape {
    int64_t outer, m, n, inner;
} shape;

static md_reduce_f32_args args_of(const shape *s, md_reduce op)
{
    const int64_t block = s->n * s->inner + 2;

    return (md_reduce_f32_args){ .outer = s->outer,
                                 .m = s->m,
                                 .n = s->n,
                                 .inner = s->inner,
                                 .outer_stride = s->m * block,
                                 .m_stride = block,
                                 .n_stride = s->inner,
                                 .op = op };
}

static float tolerance(md_reduce op)
{
    switch (op) {
    case MD_REDUCE_MAX:
    case MD_REDUCE_MIN:
        return 0;
    case MD_REDUCE_LOG_SUM_EXP:
        return 4e-7f; /* vector exp */
    default:
        return 1.2e-7f; /* the last rounding of a double may differ */
    }
}

static void one_case(const md_reduce_f32_kernel *k, md_reduce op,
                     const shape *s, int special)
{
    md_reduce_f32_args a = args_of(s, op);
    const size_t count = (size_t)(a.outer * a.outer_stride);
    const size_t out = (size_t)(s->outer * s->inner);
    const float tol = tolerance(op);
    float *x = md_guard_alloc(count * 4);
    float *want = md_guard_alloc(out * 4), *got = md_guard_alloc(out * 4);
    uint32_t seed = (uint32_t)(s->n + s->inner);

    md_guard_fill_f32(x, count, 3, &seed);
    for (size_t i = 0; special && i < count; i += 37)
        x[i] = md_guard_random(&seed) % 2 ? NAN : -INFINITY;
    for (size_t i = 0; op == MD_REDUCE_LOG_SUM && i < count; i++)
        x[i] = fabsf(x[i]) + 1;
    a.x = x;
    a.y = want;
    md_reduce_f32_select(0)->run(&a);
    a.y = got;
    k->run(&a);
    for (size_t i = 0; i < out; i++) {
        /* sums may cancel: an error of double there */
        const int ok = tol == 0.0f ? f32_near_same(got[i], want[i])
                                   : f32_near(got[i], want[i], tol, 1e-5f) ||
                                         (op == MD_REDUCE_LOG_SUM_EXP &&
                                          f32_near(got[i], want[i], tol, 1));

        if (!ok)
            fail_msg("%s: op %d [%d %d %d %d] [%zu]: %.9g, want %.9g", k->name,
                     (int)op, (int)s->outer, (int)s->m, (int)s->n,
                     (int)s->inner, i, (double)got[i], (double)want[i]);
    }
    md_guard_free(x, count * 4);
    md_guard_free(want, out * 4);
    md_guard_free(got, out * 4);
}

static void test_reduce_f32__rows_equal_ref(void **state)
{
    /* 144: rows whose lines lie alike, of more than a block of columns */
    static const int64_t inner[] = { 1, 3, 16, 21, 128, 144, 150, 288 };

    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int op = 0; op < MD_REDUCE_COUNT; op++)
            for (int64_t n = 0; n < 200; n += 1 + n / 4) {
                for (int special = 0; special < 2; special++) {
                    /* as many at once, and some more */
                    one_case(k, (md_reduce)op, &(shape){ 43, 1 + n % 3, n, 1 },
                             special);
                    one_case(k, (md_reduce)op, &(shape){ 35, 1, 5 * n, 1 },
                             special);
                }
                for (size_t i = 0; i < 2 * MD_COUNT(inner); i++)
                    one_case(
                        k, (md_reduce)op,
                        &(shape){ 2, 1 + n % 3, n, inner[i % MD_COUNT(inner)] },
                        i >= MD_COUNT(inner));
            }
    }
}

static void test_reduce_f32__definition(void **state)
{
    static const float x[] = { 1, -2, 4, 4, -5, 6 };
    static const double want[MD_REDUCE_COUNT][2] = {
        [MD_REDUCE_SUM] = { 3, 5 },
        [MD_REDUCE_MEAN] = { 1, 5 / 3.0 },
        [MD_REDUCE_MAX] = { 4, 6 },
        [MD_REDUCE_MIN] = { -2, -5 },
        [MD_REDUCE_PROD] = { -8, -120 },
        [MD_REDUCE_SUM_SQUARE] = { 21, 77 },
        [MD_REDUCE_L1] = { 7, 15 },
        [MD_REDUCE_L2] = { 4.58257569495584, 8.774964387392123 },
        [MD_REDUCE_LOG_SUM] = { 1.0986122886681098, 1.6094379124341003 },
        [MD_REDUCE_LOG_SUM_EXP] = { 4.050945763522998, 6.126942721744022 },
    };

    (void)state;
    for (int op = 0; op < MD_REDUCE_COUNT; op++) {
        md_reduce_f32_args a = args_of(&(shape){ 2, 1, 3, 1 }, (md_reduce)op);
        float y[2];

        a.x = x;
        a.y = y;
        a.outer_stride = a.m_stride = 3;
        md_reduce_f32_select(0)->run(&a);
        assert_true(y[0] == (float)want[op][0] && y[1] == (float)want[op][1]);
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
