#include "support/test.h"

#include <stdio.h>

#include "kernels/binary_f32.h"
#include "kernels/f32_near.h"

/* Powers are computed in double in each row, but by other polynomials. */
static int is_near(md_binary op, float got, float want)
{
    return op == MD_BINARY_POW ? f32_near(got, want, 2.4e-7f, 1e-37f)
                               : f32_near_same(got, want);
}

static void row_case(const md_binary_f32_kernel *k, md_binary op, md_act act,
                     size_t n, int a_step, int b_step)
{
    const md_binary_op o = { op, act, -0.5f, 2.0f };
    const size_t an = a_step ? n : 1, bn = b_step ? n : 1;
    float *a = md_guard_alloc(an * 4), *b = md_guard_alloc(bn * 4);
    float *want = md_guard_alloc(n * 4), *got = md_guard_alloc(n * 4);
    uint32_t seed = (uint32_t)(n + op);

    f32_near_fill(a, an, 3, &seed);
    f32_near_fill(b + bn / 2, bn - bn / 2, 3, &seed);
    md_binary_f32_select(0)->run(want, a, b, n, a_step, b_step, &o);
    k->run(got, a, b, n, a_step, b_step, &o);
    for (size_t i = 0; i < n; i++)
        if (!is_near(op, got[i], want[i]))
            fail_msg("%s op %d act %d n %zu [%zu]: %g, want %g", k->name,
                     (int)op, (int)act, n, i, (double)got[i], (double)want[i]);
    if (a_step) { /* in place */
        k->run(a, a, b, n, a_step, b_step, &o);
        for (size_t i = 0; i < n; i++)
            assert_true(is_near(op, a[i], want[i]));
    }
    md_guard_free(a, an * 4);
    md_guard_free(b, bn * 4);
    md_guard_free(want, n * 4);
    md_guard_free(got, n * 4);
}

static void test_binary_f32__rows_equal_ref(void **state)
{
    static const md_act acts[] = { MD_ACT_NONE, MD_ACT_RELU, MD_ACT_CLIP };

    (void)state;
    for (const md_binary_f32_kernel *k = md_binary_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int op = 0; op < MD_BINARY_COUNT; op++)
            for (size_t n = 1; n < 3000; n += n < 60 ? 1 + n / 6 : 971)
                for (int i = 0; i < 12; i++)
                    row_case(k, (md_binary)op, acts[i % 3], n, i / 3 & 1,
                             i / 6);
    }
}

static float apply(md_binary op, float a, float b)
{
    const md_binary_op o = { .op = op };
    float y;

    md_binary_f32_select(md_cpu_flags())->run(&y, &a, &b, 1, 1, 1, &o);
    return y;
}

static void test_binary_f32__definition(void **state)
{
    (void)state;
    assert_true(isnan(apply(MD_BINARY_MAX, NAN, 1)));
    assert_true(isnan(apply(MD_BINARY_MAX, 1, NAN)));
    assert_true(isnan(apply(MD_BINARY_MIN, NAN, 1)));
    assert_true(isnan(apply(MD_BINARY_MIN, 1, NAN)));
    assert_true(apply(MD_BINARY_MIN, 1, 2) == 1);
    assert_true(apply(MD_BINARY_DIV, 1, 0) == INFINITY);
    assert_true(apply(MD_BINARY_POW, -3, 2) == 9);
    assert_true(apply(MD_BINARY_POW, 2, -1) == 0.5f);
    assert_true(apply(MD_BINARY_PRELU, -2, 0.25f) == -0.5f);
}

/* y[i][j][k] = a[i][j][k] - b[..], b repeated where its bit is not set. */
static void broadcast_case(int64_t d0, int64_t d1, int64_t d2, int mask)
{
    const int64_t dims[] = { d0, d1, d2 };
    const int64_t as[] = { d1 * d2, d2, 1 };
    const int64_t bd[] = { mask & 1 ? d0 : 1, mask & 2 ? d1 : 1,
                           mask & 4 ? d2 : 1 };
    const int64_t bs[] = { mask & 1 ? bd[1] * bd[2] : 0, mask & 2 ? bd[2] : 0,
                           mask & 4 ? 1 : 0 };
    const size_t n = (size_t)(d0 * d1 * d2);
    const size_t bn = (size_t)(bd[0] * bd[1] * bd[2]);
    float *a = md_guard_alloc(n * 4), *b = md_guard_alloc(bn * 4);
    float *y = md_guard_alloc(n * 4);
    md_binary_f32_args args = {
        .kernel = md_binary_f32_select(md_cpu_flags()),
        .op = { .op = MD_BINARY_SUB },
        .y = y,
        .a = a,
        .b = b,
    };
    uint32_t seed = 3;

    md_guard_fill_f32(a, n, 5, &seed);
    md_guard_fill_f32(b, bn, 5, &seed);
    md_broadcast_init(&args.shape, 3, dims, as, bs);
    for (int64_t c = md_broadcast_n_chunks(&args.shape); c-- > 0;)
        md_binary_f32_run(&args, c);
    for (int64_t i = 0; i < (int64_t)n; i++) {
        const int64_t at =
            i / (d1 * d2) * bs[0] + i / d2 % d1 * bs[1] + i % d2 * bs[2];

        assert_true(y[i] == a[i] - b[at]);
    }
    md_guard_free(a, n * 4);
    md_guard_free(b, bn * 4);
    md_guard_free(y, n * 4);
}

static void test_binary_f32__broadcasts(void **state)
{
    (void)state;
    for (int mask = 0; mask < 8; mask++) {
        broadcast_case(3, 5, 7, mask);
        broadcast_case(1, 1, 1, mask);
        broadcast_case(2, 1, 40000, mask);
        broadcast_case(300, 70, 1, mask);
        broadcast_case(0, 3, 4, mask & ~1);
    }
}

static void test_binary_f32__equal_shapes_are_one_row(void **state)
{
    const int64_t dims[] = { 2, 3, 4, 5 }, s[] = { 60, 20, 5, 1 };
    md_broadcast w;

    (void)state;
    md_broadcast_init(&w, 4, dims, s, s);
    assert_int_equal(w.rank, 1);
    assert_int_equal(w.dims[0], 120);
    assert_int_equal(md_broadcast_n_chunks(&w), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_f32__rows_equal_ref),
        cmocka_unit_test(test_binary_f32__definition),
        cmocka_unit_test(test_binary_f32__broadcasts),
        cmocka_unit_test(test_binary_f32__equal_shapes_are_one_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
