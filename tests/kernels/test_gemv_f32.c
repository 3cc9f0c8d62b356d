#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/gemv_f32.h"
#include "support/guard.h"

enum {
    GAP = 3, /* between rows: never read */
};

/* Element `at` of the result in double, and the sum of magnitudes. */
static double expected(const md_gemv_f32_args *a, bool is_dot, int64_t at,
                       double *magnitude)
{
    double sum = 0;

    *magnitude = 0;
    for (int64_t t = 0; t < (is_dot ? a->size : a->n); t++) {
        const double product =
            (double)a->x[t] *
            (double)a->rows[is_dot ? at * a->step + t : t * a->step + at];

        sum += product;
        *magnitude += fabs(product);
    }
    return sum;
}

static void check(const md_gemv_f32_kernel *k, const md_gemv_f32_args *a,
                  bool is_dot)
{
    const int64_t n = is_dot ? a->n : a->size;
    const int64_t terms = is_dot ? a->size : a->n;

    (is_dot ? k->dot : k->sum)(a);
    for (int64_t i = 0; i < n; i++) {
        double magnitude, want = expected(a, is_dot, i, &magnitude);

        if (!(fabs((double)a->y[i] - want) <=
              (double)(terms + 1) * 0x1p-24 * magnitude))
            fail_msg("%s %s [%d x %d] element %d: %.9g, %.9g expected", k->name,
                     is_dot ? "dot" : "sum", (int)a->n, (int)a->size, (int)i,
                     (double)a->y[i], want);
    }
}

/* Rows end with the memory: the last has no gap behind it. */
static void one_case(const md_gemv_f32_kernel *k, int64_t n, int64_t size)
{
    const int64_t step = size + GAP;
    const size_t n_rows = n ? (size_t)((n - 1) * step + size) : 0;
    uint32_t seed = (uint32_t)(n * 1000 + size + 1);
    float *rows = md_guard_alloc(n_rows * 4);
    float *long_x = md_guard_alloc((size_t)n * 4);
    float *short_x = md_guard_alloc((size_t)size * 4);
    float *long_y = md_guard_alloc((size_t)n * 4);
    float *short_y = md_guard_alloc((size_t)size * 4);
    md_gemv_f32_args a = { .rows = rows, .n = n, .size = size, .step = step };

    md_guard_fill_f32(rows, n_rows, 2, &seed);
    for (int64_t i = 0; i + 1 < n; i++) { /* poison */
        for (int64_t g = 0; g < GAP; g++)
            rows[i * step + size + g] = NAN;
    }
    md_guard_fill_f32(long_x, (size_t)n, 2, &seed);
    md_guard_fill_f32(short_x, (size_t)size, 2, &seed);
    a.x = short_x;
    a.y = long_y;
    check(k, &a, true);
    a.x = long_x;
    a.y = short_y;
    check(k, &a, false);
    md_guard_free(rows, n_rows * 4);
    md_guard_free(long_x, (size_t)n * 4);
    md_guard_free(short_x, (size_t)size * 4);
    md_guard_free(long_y, (size_t)n * 4);
    md_guard_free(short_y, (size_t)size * 4);
}

static void test_gemv_f32__within_bound(void **state)
{
    static const int64_t ns[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 50 };
    static const int64_t sizes[] = { 0,  1,  4,  7,  8,  9,  15, 16,
                                     17, 31, 33, 63, 64, 65, 80, 130 };

    (void)state;
    for (const md_gemv_f32_kernel *k = md_gemv_f32_kernels; k->dot; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < MD_COUNT(ns) * MD_COUNT(sizes); i++)
            one_case(k, ns[i / MD_COUNT(sizes)], sizes[i % MD_COUNT(sizes)]);
    }
}

/* One row more changes no other element of dot, one column more none of sum. */
static void test_gemv_f32__elements_are_alone(void **state)
{
    enum {
        N = 40,
        SIZE = 70
    };
    static float rows[N * SIZE], x[SIZE], all[SIZE], some[SIZE];
    uint32_t seed = 5;

    (void)state;
    md_guard_fill_f32(rows, MD_COUNT(rows), 2, &seed);
    md_guard_fill_f32(x, MD_COUNT(x), 2, &seed);
    for (const md_gemv_f32_kernel *k = md_gemv_f32_kernels; k->dot; k++) {
        md_gemv_f32_args a = { .x = x, .rows = rows, .step = SIZE };

        if (k->required & ~md_cpu_flags())
            continue;
        for (int i = 1; i <= N; i++) {
            a.n = N;
            a.size = SIZE;
            a.y = all;
            k->dot(&a);
            a.n = i;
            a.y = some;
            k->dot(&a);
            assert_memory_equal(some, all, (size_t)i * sizeof(*all));
            a.n = N;
            a.y = all;
            k->sum(&a);
            a.size = i;
            a.y = some;
            k->sum(&a);
            assert_memory_equal(some, all, (size_t)i * sizeof(*all));
        }
    }
}

static void test_gemv_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_gemv_f32_select(0)->dot, md_gemv_f32_dot__ref);
    assert_int_equal(
        md_gemv_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemv_f32__within_bound),
        cmocka_unit_test(test_gemv_f32__elements_are_alone),
        cmocka_unit_test(test_gemv_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
