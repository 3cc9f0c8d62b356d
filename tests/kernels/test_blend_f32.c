#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/blend_f32.h"
#include "kernels/f32_near.h"
#include "support/guard.h"

enum {
    ROWS = 7,  /* of x */
    STRIDE = 6 /* of at and w */
};

/* The answer in real numbers. */
static double naive(const md_blend_f32_args *a, int64_t p, int64_t c)
{
    double sum = 0, top = -INFINITY;
    bool bad = false;

    for (int64_t k = 0; k < a->looks; k++) {
        const int64_t at = a->at[p * a->stride + k];
        double v;

        if (at < 0)
            continue;
        v = (double)a->w[p * a->stride + k] * (double)a->x[at + c];
        bad |= isnan(v);
        sum += v;
        top = v > top ? v : top;
    }
    return !a->maximum ? sum : bad ? (double)NAN : top;
}

static void check(const md_blend_f32_kernel *k, const md_blend_f32_args *a,
                  const float *want, bool special)
{
    for (int64_t i = 0; i < a->places * a->y_stride; i++) {
        const int64_t p = i / a->y_stride, c = i % a->y_stride;

        if (c >= a->n) {
            assert_true(a->y[i] == 42); /* the gap is untouched */
            continue;
        }
        if (!f32_near_same(a->y[i], want[i]))
            fail_msg("%s: n %d looks %d [%d %d]: %.9g, ref %.9g", k->name,
                     (int)a->n, (int)a->looks, (int)p, (int)c, (double)a->y[i],
                     (double)want[i]);
        /* six products of numbers below 3: an ulp of the sum for each */
        if (!special && !f32_near(a->y[i], (float)naive(a, p, c), 6e-7f, 9))
            fail_msg("%s: n %d looks %d [%d %d]: %.9g, real %.9g", k->name,
                     (int)a->n, (int)a->looks, (int)p, (int)c, (double)a->y[i],
                     naive(a, p, c));
    }
}

/* `how`: bit 0 maxima, bit 1 numbers that are none. */
static void one_case(const md_blend_f32_kernel *k, int64_t n, int64_t looks,
                     int how)
{
    md_blend_f32_args a = { .places = 5,
                            .looks = looks,
                            .stride = STRIDE,
                            .n = n,
                            .y_stride = n + 2,
                            .maximum = how & 1 };
    const size_t n_x = (size_t)(ROWS * n), n_y = (size_t)(5 * (n + 2));
    float *x = md_guard_alloc(n_x * 4), *got = md_guard_alloc(n_y * 4);
    float *want = md_guard_alloc(n_y * 4), w[5 * STRIDE];
    int64_t at[5 * STRIDE];
    uint32_t seed = (uint32_t)(n * 8 + looks);

    md_guard_fill_f32(x, n_x, 3, &seed);
    md_guard_fill_f32(w, 5 * STRIDE, 3, &seed);
    for (size_t i = 0; how & 2 && i < n_x; i += 5)
        x[i] = i % 2 ? NAN : INFINITY;
    for (int i = 0; i < 5 * STRIDE; i++)
        at[i] = (int64_t)(md_guard_random(&seed) % (ROWS + 1)) * n - n;
    for (size_t i = 0; n == 0 && i < 5 * STRIDE; i++)
        at[i] = 0;
    for (size_t i = 0; i < n_y; i++)
        got[i] = want[i] = 42;
    a.x = x, a.at = at, a.w = w;
    a.y = want;
    md_blend_f32__ref(&a);
    a.y = got;
    k->run(&a);
    check(k, &a, want, how & 2);
    md_guard_free(x, n_x * 4);
    md_guard_free(got, n_y * 4);
    md_guard_free(want, n_y * 4);
}

static void test_blend_f32__rows_equal_ref(void **state)
{
    static const int64_t ns[] = { 0, 1, 3, 7, 8, 9, 16, 17, 64, 65, 130 };
    static const int64_t looks[] = { 0, 1, 4, 6 };

    (void)state;
    for (const md_blend_f32_kernel *k = md_blend_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < MD_COUNT(ns) * MD_COUNT(looks); i++) {
            for (int how = 0; how < 4; how++)
                one_case(k, ns[i % MD_COUNT(ns)], looks[i / MD_COUNT(ns)], how);
        }
    }
}

static void test_blend_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_blend_f32_select(0)->run, md_blend_f32__ref);
    assert_int_equal(
        md_blend_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blend_f32__rows_equal_ref),
        cmocka_unit_test(test_blend_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
