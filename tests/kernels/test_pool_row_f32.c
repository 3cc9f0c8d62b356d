#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/f32_near.h"
#include "kernels/pool_row_f32.h"
#include "support/guard.h"

typedef struct shape {
    int64_t planes, rows, width, left;
    int64_t n, stride, taps, step;
} shape;

/* clang-format off */
static const shape shapes[] = {
    /* planes rows width left    n stride taps step */
    { 1, 1,   1,  0,    1,  1,  1, 1 },
    { 1, 3,  64,  1,   32,  2,  3, 1 }, /* ResNet's */
    { 1, 2,  64,  0,   32,  2,  2, 1 },
    { 1, 2,  37,  0,   18,  2,  2, 1 },
    { 1, 3,   7,  1,    7,  1,  3, 1 },
    { 1, 5,  20,  2,   20,  1,  5, 1 },
    { 2, 2,  33,  0,   16,  2,  2, 1 },
    { 3, 4,  15,  3,    9,  2,  3, 2 },
    { 1, 1, 100,  2,   34,  3,  5, 1 },
    { 1, 1, 128,  0,   32,  4,  4, 1 },
    { 1, 1, 131,  4,   17,  8,  9, 1 },
    { 1, 2,   5,  0,    1,  1,  5, 1 }, /* the whole row */
    { 1, 1,   4,  3,   10,  1,  1, 1 }, /* windows without a column ... */
    { 1, 1,   2, 70,    5, 17, 30, 5 }, /* ... or with one in many */
    { 1, 1, 257,  0,  257,  1,  1, 1 },
};
/* clang-format on */

/* The answer at output i, in real numbers. */
static double naive(const md_pool_row_f32_args *a, int64_t i)
{
    double top = -INFINITY, sum = 0;
    bool bad = false;

    for (int64_t k = 0; k < a->planes * a->rows * a->taps; k++) {
        const int64_t t = k % a->taps, r = k / a->taps % a->rows;
        const int64_t p = k / a->taps / a->rows;
        const int64_t c = i * a->stride + t * a->step - a->left;
        double v;

        if (c < 0 || c >= a->width)
            continue;
        v = (double)a->x[p * a->plane_step + r * a->row_step + c];
        bad |= isnan(v);
        top = v > top ? v : top;
        sum += v;
    }
    if (!a->counts)
        return bad ? (double)NAN : top;
    return a->by * a->counts[i] > 0 ? sum / (double)(a->by * a->counts[i]) : 0;
}

static void one_case(const md_pool_row_f32_kernel *k, const shape *s,
                     bool average, bool special)
{
    md_pool_row_f32_args a = { .planes = s->planes,
                               .rows = s->rows,
                               .plane_step = s->rows * s->width + 3,
                               .row_step = s->width,
                               .width = s->width,
                               .left = s->left,
                               .n = s->n,
                               .stride = s->stride,
                               .taps = s->taps,
                               .step = s->step,
                               .by = (float)(s->planes * s->rows) };
    const size_t n_x =
        (size_t)((s->planes - 1) * a.plane_step + s->rows * a.row_step);
    const size_t n_line = (size_t)md_pool_row_f32_line(&a);
    const size_t n = (size_t)s->n;
    float *x = md_guard_alloc(n_x * 4), *line = md_guard_alloc(n_line * 4);
    float *counts = md_guard_alloc(n * 4), *got = md_guard_alloc(n * 4);
    float *want = md_guard_alloc(n * 4);
    uint32_t seed = (uint32_t)(s->n + s->width);

    md_guard_fill_f32(x, n_x, 3, &seed);
    for (size_t i = 0; special && i < n_x; i += 11)
        x[i] = md_guard_random(&seed) % 2 ? NAN : -INFINITY;
    for (size_t i = 0; i < n; i++)
        counts[i] = (float)((int64_t)i % (s->taps + 1));
    a.x = x;
    a.line = line;
    a.counts = average ? counts : NULL;
    a.y = want;
    md_pool_row_f32__ref(&a);
    md_guard_fill(line, n_line * 4, &seed); /* what it holds is of no matter */
    a.y = got;
    k->run(&a);
    for (size_t i = 0; i < n; i++) {
        const float real = (float)naive(&a, (int64_t)i);

        if (!f32_near_same(got[i], want[i]))
            fail_msg("%s: shape %d [%zu]: %.9g, ref %.9g", k->name,
                     (int)(s - shapes), i, (double)got[i], (double)want[i]);
        /* sums of up to 45 numbers below 3: an ulp of the sum for each */
        if (!(average ? special || f32_near(got[i], real, 45 * 6e-8f, 9)
                      : f32_near_same(got[i], real)))
            fail_msg("%s: shape %d [%zu]: %.9g, real %.9g", k->name,
                     (int)(s - shapes), i, (double)got[i], (double)real);
    }
    md_guard_free(x, n_x * 4);
    md_guard_free(line, n_line * 4);
    md_guard_free(counts, n * 4);
    md_guard_free(got, n * 4);
    md_guard_free(want, n * 4);
}

static void test_pool_row_f32__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_pool_row_f32_kernel *k = md_pool_row_f32_kernels; k->run;
         k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < 4 * MD_COUNT(shapes); i++)
            one_case(k, &shapes[i / 4], i % 2, i / 2 % 2);
    }
}

static void test_pool_row_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_pool_row_f32_select(0)->run, md_pool_row_f32__ref);
    assert_int_equal(
        md_pool_row_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_row_f32__rows_equal_ref),
        cmocka_unit_test(test_pool_row_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
