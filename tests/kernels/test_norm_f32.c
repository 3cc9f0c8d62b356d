#include "support/test.h"

#include <stdio.h>

#include "kernels/f32_near.h"
#include "kernels/norm_f32.h"

static void one_case(const md_norm_f32_kernel *k, int64_t rows, int64_t n,
                     unsigned how)
{
    const size_t count = (size_t)(rows * n), row = (size_t)n * 4;
    float *x = md_guard_alloc(count * 4), *want = md_guard_alloc(count * 4);
    float *scale = md_guard_alloc(row), *bias = md_guard_alloc(row);
    uint32_t seed = (uint32_t)n;
    md_norm_f32_args a = {
        .y = want,
        .x = x,
        .rows = rows,
        .n = n,
        .scale = how & 1 ? scale : NULL,
        .bias = how & 2 ? bias : NULL,
        .eps = 1e-5f,
        .kind = how & 4 ? MD_NORM_RMS : MD_NORM_LAYER,
    };

    md_guard_fill_f32(x, count, 3, &seed);
    md_guard_fill_f32(scale, (size_t)n, 2, &seed);
    md_guard_fill_f32(bias, (size_t)n, 2, &seed);
    for (size_t i = 0; i < count; i++)
        x[i] += 1; /* a mean to take away */
    md_norm_f32_select(0)->run(&a);
    a.y = x; /* in place */
    k->run(&a);
    for (size_t i = 0; i < count && n > 1; i++)
        if (!f32_near(x[i], want[i], 4e-6f, 1))
            fail_msg("%s: n %d how %u [%zu]: %.9g, want %.9g", k->name, (int)n,
                     how, i, (double)x[i], (double)want[i]);
    md_guard_free(x, count * 4);
    md_guard_free(want, count * 4);
    md_guard_free(scale, row);
    md_guard_free(bias, row);
}

static void test_norm_f32__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int64_t n = 1; n < 900; n += 1 + n / 6)
            for (unsigned how = 0; how < 8; how++)
                one_case(k, 2, n, how);
    }
}

/* Parameters of spans, in a cycle of 3 rows; `given`: moments too. */
static void span_case(const md_norm_f32_kernel *k, int64_t per, int64_t span,
                      int given)
{
    const int64_t n = per * span, rows = 5, cycle = 3;
    const size_t count = (size_t)(rows * n), each = (size_t)(cycle * per);
    float *x = md_guard_alloc(count * 4), *want = md_guard_alloc(count * 4);
    float *p = md_guard_alloc(each * 4 * 4);
    uint32_t seed = (uint32_t)n;
    md_norm_f32_args a = {
        .y = want,
        .x = x,
        .rows = rows,
        .n = n,
        .span = span,
        .cycle = cycle,
        .first = per % cycle,
        .scale = p,
        .bias = p + each,
        .mean = given ? p + 2 * each : NULL,
        .var = given ? p + 3 * each : NULL,
        .eps = 1e-5f,
    };

    md_guard_fill_f32(x, count, 3, &seed);
    md_guard_fill_f32(p, 4 * each, 2, &seed);
    for (size_t i = 3 * each; i < 4 * each; i++)
        p[i] = fabsf(p[i]) + 0.1f;
    md_norm_f32_select(0)->run(&a);
    a.y = x;
    k->run(&a);
    for (size_t i = 0; i < count && n > 1; i++)
        if (!f32_near(x[i], want[i], 4e-6f, 1))
            fail_msg("%s: %d spans of %d, given %d [%zu]: %.9g, want %.9g",
                     k->name, (int)per, (int)span, given, i, (double)x[i],
                     (double)want[i]);
    md_guard_free(x, count * 4);
    md_guard_free(want, count * 4);
    md_guard_free(p, each * 4 * 4);
}

static void test_norm_f32__spans(void **state)
{
    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (int64_t span = 1; span < 60; span += 1 + span / 5)
            for (int i = 0; i < 8 && !(k->required & ~md_cpu_flags()); i++)
                span_case(k, i < 4 ? i + 1 : 5 * i, span, i % 2);
    }
}

/* Also where the norm, or what is added up for it, is beyond float. */
static void test_norm_f32__divided_by_the_norm(void **state)
{
    static const float sizes[] = { 1, 0, 1e-42f, 1e-25f, 3e38f };

    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (int i = 0; i < 5 * 100 && !(k->required & ~md_cpu_flags()); i++) {
            const int64_t n = 1 + i / 5;
            float x[100], want[100], got[100];
            uint32_t seed = (uint32_t)i;
            md_norm_f32_args a = { .y = want,
                                   .x = x,
                                   .rows = 1,
                                   .n = n,
                                   .kind = i % 2 ? MD_NORM_L1 : MD_NORM_L2 };

            md_guard_fill_f32(x, (size_t)n, 1, &seed);
            for (int64_t j = 0; j < n; j++)
                x[j] *= sizes[i % 5];
            md_norm_f32_select(0)->run(&a);
            a.y = got;
            k->run(&a);
            for (int64_t j = 0; j < n; j++)
                assert_true(f32_near(got[j], want[j], 1.5e-7f, 1e-30f));
        }
    }
}

/* E[x^2] - E[x]^2 in float would give nonsense here. */
static void test_norm_f32__far_from_zero(void **state)
{
    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        float x[64], y[64];
        const md_norm_f32_args a = { .y = y, .x = x, .rows = 1, .n = 64 };

        if (k->required & ~md_cpu_flags())
            continue;
        for (int i = 0; i < 64; i++)
            x[i] = 8192.0f + (float)(i % 2);
        k->run(&a);
        assert_true(y[0] == -1 && y[1] == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_f32__rows_equal_ref),
        cmocka_unit_test(test_norm_f32__spans),
        cmocka_unit_test(test_norm_f32__divided_by_the_norm),
        cmocka_unit_test(test_norm_f32__far_from_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
