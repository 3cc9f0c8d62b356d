#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/cumsum_f32.h"
#include "kernels/f32_near.h"
#include "support/guard.h"

/* Rows lie `gap` elements apart; `up` begins with the last. */
static void one_case(const md_cumsum_f32_kernel *k, int64_t n, int64_t columns,
                     bool up, bool exclusive)
{
    enum {
        GAP = 3
    };
    const int64_t step = columns + GAP;
    const size_t count = (size_t)(n > 0 ? (n - 1) * step + columns : 0);
    float *x = md_guard_alloc(count * 4), *y = md_guard_alloc(count * 4);
    const int64_t first = up && n > 0 ? (n - 1) * step : 0;
    md_cumsum_f32_args a = { .y = y + first,
                             .x = x + first,
                             .n = n,
                             .columns = columns,
                             .step = up ? -step : step,
                             .exclusive = exclusive };
    uint32_t seed = (uint32_t)(n + columns);

    md_guard_fill_f32(x, count, 3, &seed);
    for (size_t i = 7; i < count; i += 101)
        x[i] = i % 2 ? NAN : -INFINITY;
    for (size_t i = 0; i < count; i++)
        y[i] = 42;
    k->run(&a);
    for (int64_t c = 0; c < columns; c++) {
        double sum = 0;

        for (int64_t i = 0; i < n; i++) {
            const double before = sum;
            const int64_t at = first + i * a.step + c;

            sum += (double)x[at];
            if (!f32_near_same(y[at], (float)(exclusive ? before : sum)))
                fail_msg("%s: %dx%d [%d %d]: %.9g, want %.9g", k->name, (int)n,
                         (int)columns, (int)i, (int)c, (double)y[at], sum);
        }
    }
    for (int64_t i = 0; i + 1 < n; i++) {
        for (int64_t c = columns; c < step; c++)
            assert_true(y[i * step + c] == 42); /* the gap is untouched */
    }
    md_guard_free(x, count * 4);
    md_guard_free(y, count * 4);
}

static void test_cumsum_f32__rows_add_up(void **state)
{
    static const int64_t columns[] = { 0, 1, 7, 8, 9, 16, 17, 63, 64, 65, 150 };
    static const int64_t rows[] = { 0, 1, 2, 5, 33 };

    (void)state;
    for (const md_cumsum_f32_kernel *k = md_cumsum_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < MD_COUNT(columns) * MD_COUNT(rows); i++) {
            for (int how = 0; how < 4; how++)
                one_case(k, rows[i % MD_COUNT(rows)],
                         columns[i / MD_COUNT(rows)], how & 1, how & 2);
        }
    }
}

static void test_cumsum_f32__selects_what_may_run(void **state)
{
    (void)state;
    assert_ptr_equal(md_cumsum_f32_select(0)->run, md_cumsum_f32__ref);
    assert_int_equal(
        md_cumsum_f32_select(md_cpu_flags())->required & ~md_cpu_flags(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cumsum_f32__rows_add_up),
        cmocka_unit_test(test_cumsum_f32__selects_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
