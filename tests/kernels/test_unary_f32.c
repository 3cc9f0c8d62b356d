#include "support/test.h"

#include <stdio.h>

#include "kernels/f32_near.h"
#include "kernels/unary_f32.h"

static void compare(const md_unary_f32_kernel *k, const char *what, size_t n,
                    const float *got, const float *want, int exact)
{
    for (size_t i = 0; i < n; i++) {
        /* 4 ulp of the value or 3e-7 */
        const int ok = exact ? f32_near_same(got[i], want[i])
                             : f32_near(got[i], want[i], 4.8e-7f, 0.63f);

        if (!ok)
            fail_msg("%s %s: [%zu] of %zu is %.9g, want %.9g", k->name, what, i,
                     n, (double)got[i], (double)want[i]);
    }
}

/* Those by the same steps in float, or by libm in every row. */
static int is_exact(md_unary op)
{
    switch (op) {
    case MD_UNARY_EXP:
    case MD_UNARY_ERF:
    case MD_UNARY_LOG:
    case MD_UNARY_SIN:
    case MD_UNARY_COS:
    case MD_UNARY_TAN:
    case MD_UNARY_SINH:
    case MD_UNARY_COSH:
    case MD_UNARY_SOFTPLUS:
    case MD_UNARY_ELU:
    case MD_UNARY_SELU:
    case MD_UNARY_CELU:
    case MD_UNARY_MISH:
    case MD_UNARY_SWISH:
        return 0;
    default:
        return 1;
    }
}

static void one_case(const md_unary_f32_kernel *k, md_unary op, size_t n)
{
    float *x = md_guard_alloc(n * 4), *want = md_guard_alloc(n * 4);
    uint32_t seed = (uint32_t)(n + op);

    f32_near_fill(x, n, 12, &seed);
    md_unary_f32_select(0)->run(want, x, n, op, 0.7f, 1.3f);
    k->run(x, x, n, op, 0.7f, 1.3f); /* in place */
    compare(k, md_unary_name(op), n, x, want, is_exact(op));
    md_guard_free(x, n * 4);
    md_guard_free(want, n * 4);
}

static void act_case(const md_unary_f32_kernel *k, md_act act, size_t n)
{
    float *x = md_guard_alloc(n * 4), *want = md_guard_alloc(n * 4);
    uint32_t seed = (uint32_t)(n + act);
    char what[16];

    snprintf(what, sizeof(what), "act %d", (int)act);
    f32_near_fill(x, n, 12, &seed);
    md_unary_f32_select(0)->act(want, x, n, act, -0.2f, 0.6f);
    k->act(x, x, n, act, -0.2f, 0.6f);
    compare(k, what, n, x, want,
            act == MD_ACT_NONE || act == MD_ACT_RELU || act == MD_ACT_CLIP ||
                act == MD_ACT_SCALE || act == MD_ACT_LEAKY_RELU ||
                act == MD_ACT_HARD_SIGMOID);
    md_guard_free(x, n * 4);
    md_guard_free(want, n * 4);
}

static void test_unary_f32__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_unary_f32_kernel *k = md_unary_f32_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (size_t n = 0; n < 70; n += 1 + n / 9) {
            for (int op = 0; op < MD_UNARY_COUNT; op++)
                one_case(k, (md_unary)op, n);
            for (int act = 0; act < MD_ACT_COUNT; act++)
                act_case(k, (md_act)act, n);
        }
    }
}

static void test_unary_f32__definition(void **state)
{
    (void)state;
    assert_true(md_unary_apply(MD_UNARY_ROUND, 0, 0, 2.5f) == 2);
    assert_true(md_unary_apply(MD_UNARY_SIGN, 0, 0, -3) == -1);
    assert_true(md_unary_apply(MD_UNARY_SOFTPLUS, 0, 0, 1e4f) == 1e4f);
    assert_true(md_unary_apply(MD_UNARY_SOFTPLUS, 0, 0, -1e4f) == 0);
    assert_true(md_unary_apply(MD_UNARY_MISH, 0, 0, 100) == 100);
    assert_true(md_unary_apply(MD_UNARY_SHRINK, 1, 0.5f, -3) == -2.5f);
    assert_true(md_unary_apply(MD_UNARY_SHRINK, 1, 0.5f, 0.3f) == 0);
    assert_true(md_unary_apply(MD_UNARY_THRESHOLDED_RELU, 2, 0, 2) == 0);
    assert_true(f32_near(md_unary_apply(MD_UNARY_ELU, 2, 0, -1), -1.2642411f,
                         1e-6f, 1));
    assert_true(f32_near(md_unary_apply(MD_UNARY_CELU, 2, 0, -1), -0.7869387f,
                         1e-6f, 1));
    assert_string_equal(md_unary_name(MD_UNARY_SHRINK), "Shrink");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_f32__definition),
        cmocka_unit_test(test_unary_f32__rows_equal_ref),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
