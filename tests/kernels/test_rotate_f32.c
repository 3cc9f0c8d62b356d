#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/f32_near.h"
#include "kernels/rotate_f32.h"
#include "support/guard.h"

enum {
    ROWS = 3,
    GAP = 2 /* elements of a row that stay */
};

/* Row r: right to the last rounding of each product, and as ref has it. */
static void check_row(const md_rotate_f32_kernel *k,
                      const md_rotate_f32_args *a, const float *want)
{
    for (int64_t i = 0; i < a->half; i++) {
        const int64_t p = a->pairs ? 2 * i : i;
        const int64_t q = a->pairs ? 2 * i + 1 : a->half + i;
        const double c = (double)a->c[i], s = (double)a->s[i];
        const double x = (double)a->x[p], z = (double)a->x[q];

        if (!f32_near_same(a->y[p], want[p]) ||
            !f32_near_same(a->y[q], want[q]))
            fail_msg("%s: half %d pairs %d [%d]: %.9g %.9g, ref %.9g %.9g",
                     k->name, (int)a->half, a->pairs, (int)i, (double)a->y[p],
                     (double)a->y[q], (double)want[p], (double)want[q]);
        /* two products below 9 and their sum: half an ulp each */
        assert_true(fabs((double)a->y[p] - (c * x - s * z)) < 3e-6);
        assert_true(fabs((double)a->y[q] - (s * x + c * z)) < 3e-6);
    }
    for (int64_t i = 2 * a->half; i < a->step; i++)
        assert_true(a->y[i] == 42);
}

static void one_case(const md_rotate_f32_kernel *k, int64_t half, bool pairs)
{
    const int64_t step = 2 * half + GAP;
    const size_t n = (size_t)(ROWS * step), angles = (size_t)half;
    float *x = md_guard_alloc(n * 4), *got = md_guard_alloc(n * 4);
    float *want = md_guard_alloc(n * 4), *c = md_guard_alloc(angles * 4);
    float *s = md_guard_alloc(angles * 4);
    md_rotate_f32_args a = {
        .x = x, .c = c, .s = s, .step = step, .half = half, .pairs = pairs
    };
    uint32_t seed = (uint32_t)half;

    md_guard_fill_f32(x, n, 3, &seed);
    md_guard_fill_f32(c, angles, 3, &seed);
    md_guard_fill_f32(s, angles, 3, &seed);
    for (size_t i = 0; i < n; i++)
        got[i] = want[i] = 42;
    a.rows = ROWS;
    a.y = want;
    md_rotate_f32__ref(&a);
    a.y = got;
    k->run(&a);
    for (int64_t r = 0; r < ROWS; r++) {
        a.x = x + r * step;
        a.y = got + r * step;
        check_row(k, &a, want + r * step);
    }
    a.x = a.y = x; /* in place */
    k->run(&a);
    for (int64_t i = 0; i < ROWS * step; i++)
        assert_true(i % step >= 2 * half || f32_near_same(x[i], got[i]));
    md_guard_free(x, n * 4);
    md_guard_free(got, n * 4);
    md_guard_free(want, n * 4);
    md_guard_free(c, angles * 4);
    md_guard_free(s, angles * 4);
}

static void test_rotate_f32__rows_equal_ref(void **state)
{
    static const int64_t halves[] = { 0, 1, 3, 4, 5, 8, 9, 15, 16, 17, 32, 33 };

    (void)state;
    for (const md_rotate_f32_kernel *k = md_rotate_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < 2 * MD_COUNT(halves); i++)
            one_case(k, halves[i / 2], i % 2);
    }
}

static void test_rotate_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_rotate_f32_select(0)->run, md_rotate_f32__ref);
    assert_int_equal(
        md_rotate_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotate_f32__rows_equal_ref),
        cmocka_unit_test(test_rotate_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
