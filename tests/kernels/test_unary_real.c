/*
 * Functions of one float against long double: `ref` too.  A bound counts the
 * roundings that the definition has; the vector rows that use polynomials
 * have their own, which is in the headers.
 */
#include "support/test.h"

#include <stdbool.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "kernels/real.h"
#include "kernels/unary_f32.h"
#include "support/guard.h"

static long double softplus(long double x)
{
    return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

/* U(ID, roundings in float, value for x with parameters a and b): what the
 * operators' specifications say. */
#define OPERATORS                                                              \
    U(ABS, 0, x < 0 ? -x : x == 0 ? 0 : x)                                     \
    U(NEG, 0, -x)                                                              \
    U(RECIPROCAL, 1, 1 / x)                                                    \
    U(SQRT, 1, sqrtl(x))                                                       \
    U(EXP, 1, expl(x))                                                         \
    U(ERF, 1, erfl(x))                                                         \
    U(FLOOR, 0, floorl(x))                                                     \
    U(CEIL, 0, -floorl(-x))                                                    \
    U(ROUND, 0, real_half_even(x))                                             \
    U(LOG, 1, logl(x))                                                         \
    U(SIGN, 0, isnan(x) ? x : (x > 0) - (x < 0))                               \
    U(SIN, 1, sinl(x))                                                         \
    U(COS, 1, cosl(x))                                                         \
    U(TAN, 1, tanl(x))                                                         \
    U(ASIN, 1, asinl(x))                                                       \
    U(ACOS, 1, acosl(x))                                                       \
    U(ATAN, 1, atanl(x))                                                       \
    U(SINH, 1, sinhl(x))                                                       \
    U(COSH, 1, coshl(x))                                                       \
    U(ASINH, 1, asinhl(x))                                                     \
    U(ACOSH, 1, acoshl(x))                                                     \
    U(ATANH, 1, atanhl(x))                                                     \
    U(SOFTPLUS, 1, softplus(x))                                                \
    U(SOFTSIGN, 2, x / (1 + fabsl(x)))                                         \
    U(ELU, 2, x < 0 ? a * expm1l(x) : x)                                       \
    U(SELU, 3, b *(x > 0 ? x : a * expm1l(x)))                                 \
    U(CELU, 2, x < 0 ? a * expm1l(x / a) : x)                                  \
    U(MISH, 1, x *tanhl(softplus(x)))                                          \
    U(THRESHOLDED_RELU, 0, x > a ? x : 0)                                      \
    U(SWISH, 1, isinf(x) && x < 0 ? 0 : x / (1 + expl(-a * x)))                \
    U(SHRINK, 1, x<-a ? x + b : x> a ? x - b : 0)

typedef struct bound {
    long double value, roundings;
} bound;

static bound real_unary(md_unary op, long double a, long double b,
                        long double x)
{
    switch (op) {
#define U(id, n, v)                                                            \
    case MD_UNARY_##id:                                                        \
        return (bound){ v, n };
        OPERATORS
#undef U
    case MD_UNARY_COUNT:
        break;
    }
    fail_msg("operator %d has no row here", (int)op);
    return (bound){ 0, 0 };
}

/* Polynomials: 4 ulp, which are up to 8 roundings, or 3e-7. */
static bool by_polynomial(float got, long double want)
{
    return real_near(got, want, 8) || fabsl(got - want) <= 3e-7L;
}

static void fill(float *x)
{
    for (uint32_t i = 0; i < REAL_SWEEP; i++)
        x[i] = real_sweep(i);
}

static bool usable(const md_unary_f32_kernel *k)
{
    if ((k->required & ~md_cpu_flags()) == 0)
        return true;
    print_message("skipped: %s (not on this CPU)\n", k->name);
    return false;
}

static void check_unary(const md_unary_f32_kernel *k, md_unary op,
                        const float *x, float *y)
{
    const float a = 0.7f, b = 1.3f;
    const bool loose =
        k->required &&
        (op == MD_UNARY_EXP || op == MD_UNARY_ERF || op == MD_UNARY_SWISH);

    k->run(y, x, REAL_SWEEP, op, a, b);
    for (uint32_t i = 0; i < REAL_SWEEP; i++) {
        const bound w = real_unary(op, a, b, x[i]);

        if (!real_near(y[i], w.value, w.roundings) &&
            !(loose && by_polynomial(y[i], w.value)))
            fail_msg("%s: %s(%.9g) is %.9g, expected %.9Lg", k->name,
                     md_unary_name(op), (double)x[i], (double)y[i], w.value);
    }
}

static void test_unary_real__every_operator(void **state)
{
    float *x = md_guard_alloc(REAL_SWEEP * sizeof(*x));
    float *y = md_guard_alloc(REAL_SWEEP * sizeof(*y));

    (void)state;
    fill(x);
    for (const md_unary_f32_kernel *k = md_unary_f32_kernels; k->run; k++) {
        for (int op = 0; usable(k) && op < MD_UNARY_COUNT; op++)
            check_unary(k, (md_unary)op, x, y);
    }
    md_guard_free(x, REAL_SWEEP * sizeof(*x));
    md_guard_free(y, REAL_SWEEP * sizeof(*y));
}

/* ---- activations ---- */

static long double sigmoid(long double x)
{
    return 1 / (1 + expl(-x));
}

/* The limit at -Inf, where x * 0 would be NaN. */
static long double gated(long double x, long double gate)
{
    return isinf(x) && x < 0 ? -0.0L : x * gate;
}

static long double clamp(long double x, long double lo, long double hi)
{
    return x < lo ? lo : x > hi ? hi : x; /* NaN stays */
}

/* The activation and how far `ref` may be from it. */
static bound real_act(md_act act, long double a, long double b, long double x)
{
    /* sqrt(2 / pi) */
    const long double c = 0.797884560802865355879892119868763737L;

    switch (act) {
    case MD_ACT_NONE:
    case MD_ACT_COUNT:
        break;
    case MD_ACT_RELU:
        return (bound){ clamp(x, 0, INFINITY), 0 };
    case MD_ACT_CLIP:
        return (bound){ clamp(x, a, b), 0 };
    case MD_ACT_SCALE:
        return (bound){ a * x, 1 };
    case MD_ACT_LEAKY_RELU:
        return (bound){ x < 0 ? a * x : x, 1 };
    case MD_ACT_SIGMOID:
        return (bound){ sigmoid(x), 1 };
    case MD_ACT_TANH: /* tanhf of libm: 2 ulp */
        return (bound){ tanhl(x), 4 };
    case MD_ACT_SILU:
        return (bound){ gated(x, sigmoid(x)), 1 };
    case MD_ACT_HARD_SIGMOID:
        return (bound){ clamp(a * x + b, 0, 1), 2 };
    case MD_ACT_HARD_SWISH: /* 1/6, the product, the sum, the product */
        return (bound){ gated(x, clamp(x / 6 + 0.5L, 0, 1)), 4 };
    case MD_ACT_GELU_ERF:
        return (bound){ gated(x, erfcl(-x * sqrtl(0.5L)) / 2), 3 };
    case MD_ACT_GELU_TANH:
        return (bound){ gated(x, sigmoid(2 * c * (x + 0.044715L * x * x * x))),
                        1 };
    }
    return (bound){ x, 0 };
}

/* What may be lost more: in a * x + b near zero, before a product. */
static long double lost(md_act act, long double a, long double b, long double x)
{
    const long double two = 2 * REAL_ROUNDING;

    if (act == MD_ACT_HARD_SIGMOID)
        return two * (fabsl(a * x) + fabsl(b));
    if (act == MD_ACT_HARD_SWISH)
        return two * fabsl(x) * (fabsl(x) / 6 + 0.5L);
    if (act == MD_ACT_GELU_ERF) /* a subnormal erfc, times x */
        return fabsl(x) * REAL_TINY;
    return 0;
}

static bool is_exact(md_act act)
{
    return act == MD_ACT_NONE || act == MD_ACT_RELU || act == MD_ACT_CLIP ||
           act == MD_ACT_SCALE || act == MD_ACT_LEAKY_RELU ||
           act == MD_ACT_HARD_SIGMOID;
}

static void check_act(const md_unary_f32_kernel *k, md_act act, const float *x,
                      float *y)
{
    const float a = act == MD_ACT_CLIP ? -0.5f : 0.2f, b = 0.6f;

    k->act(y, x, REAL_SWEEP, act, a, b);
    for (uint32_t i = 0; i < REAL_SWEEP; i++) {
        const bound w = real_act(act, a, b, x[i]);
        const long double off = fabsl(y[i] - w.value);

        if (!real_near(y[i], w.value, w.roundings) &&
            !(off <= lost(act, a, b, x[i])) &&
            !(k->required && !is_exact(act) && by_polynomial(y[i], w.value)))
            fail_msg("%s: act %d of %.9g is %.9g, expected %.9Lg", k->name,
                     (int)act, (double)x[i], (double)y[i], w.value);
    }
}

static void test_unary_real__every_activation(void **state)
{
    float *x = md_guard_alloc(REAL_SWEEP * sizeof(*x));
    float *y = md_guard_alloc(REAL_SWEEP * sizeof(*y));

    (void)state;
    fill(x);
    for (const md_unary_f32_kernel *k = md_unary_f32_kernels; k->run; k++) {
        for (int act = 0; usable(k) && act < MD_ACT_COUNT; act++)
            check_act(k, (md_act)act, x, y);
    }
    md_guard_free(x, REAL_SWEEP * sizeof(*x));
    md_guard_free(y, REAL_SWEEP * sizeof(*y));
}

/* ---- where it stands does not matter ---- */

enum {
    N = 53
};

/* f(x[i]) has the same bits alone, in a vector, in a tail, at any address. */
static void check_places(const md_unary_f32_kernel *k, int what)
{
    float *x = md_guard_alloc((N + 1) * sizeof(*x));
    float *y = md_guard_alloc((N + 1) * sizeof(*y));
    uint32_t seed = (uint32_t)what;
    float all[N], one;

    for (int i = 0; i <= N; i++)
        x[i] = real_sweep(md_guard_random(&seed) % REAL_SWEEP);
    for (int shift = 0; shift < 2; shift++) {
        if (what < MD_UNARY_COUNT)
            k->run(y + shift, x + 1, N, (md_unary)what, 0.7f, 1.3f);
        else
            k->act(y + shift, x + 1, N, (md_act)(what - MD_UNARY_COUNT), 0.2f,
                   0.6f);
        if (shift == 0)
            memcpy(all, y, sizeof(all));
        assert_memory_equal(all, y + shift, sizeof(all));
    }
    for (int i = 0; i < N; i++) {
        if (what < MD_UNARY_COUNT)
            k->run(&one, &x[i + 1], 1, (md_unary)what, 0.7f, 1.3f);
        else
            k->act(&one, &x[i + 1], 1, (md_act)(what - MD_UNARY_COUNT), 0.2f,
                   0.6f);
        if (memcmp(&one, &all[i], sizeof(one)) != 0)
            fail_msg("%s: %d of %.9g: %.9g alone, %.9g among others", k->name,
                     what, (double)x[i + 1], (double)one, (double)all[i]);
    }
    md_guard_free(x, (N + 1) * sizeof(*x));
    md_guard_free(y, (N + 1) * sizeof(*y));
}

static void test_unary_real__places_do_not_matter(void **state)
{
    (void)state;
    for (const md_unary_f32_kernel *k = md_unary_f32_kernels; k->run; k++) {
        for (int i = 0; usable(k) && i < MD_UNARY_COUNT + MD_ACT_COUNT; i++)
            check_places(k, i);
    }
}

/* Signs of zero and subnormals: nothing is flushed. */
static void test_unary_real__zeros_and_subnormals(void **state)
{
    static const struct {
        md_unary op;
        float x, y;
    } rows[] = {
        { MD_UNARY_ABS, -0.0f, 0.0f },
        { MD_UNARY_NEG, 0.0f, -0.0f },
        { MD_UNARY_FLOOR, -0.0f, -0.0f },
        { MD_UNARY_CEIL, -0.5f, -0.0f },
        { MD_UNARY_ROUND, -0.5f, -0.0f },
        { MD_UNARY_ROUND, 0.5f, 0.0f },
        { MD_UNARY_ROUND, 1.5f, 2.0f },
        { MD_UNARY_ROUND, 8388607.5f, 8388608.0f },
        { MD_UNARY_ROUND, -2.5f, -2.0f },
        { MD_UNARY_SQRT, -0.0f, -0.0f },
        { MD_UNARY_SQRT, 1e-45f, 3.74339207e-23f },
        { MD_UNARY_RECIPROCAL, -0.0f, -INFINITY },
        { MD_UNARY_RECIPROCAL, 3e38f, 1.0f / 3e38f },
        { MD_UNARY_NEG, 1e-45f, -1e-45f },
        { MD_UNARY_FLOOR, 1e-45f, 0.0f },
        { MD_UNARY_FLOOR, -1e-45f, -1.0f },
        { MD_UNARY_CEIL, 1e-45f, 1.0f },
        { MD_UNARY_ERF, -0.0f, -0.0f },
        { MD_UNARY_EXP, -0.0f, 1.0f },
        { MD_UNARY_EXP, -INFINITY, 0.0f },
        { MD_UNARY_EXP, 89.0f, INFINITY },
        { MD_UNARY_EXP, -105.0f, 0.0f },
        { MD_UNARY_SIGN, -0.0f, -0.0f },
    };

    (void)state;
    for (const md_unary_f32_kernel *k = md_unary_f32_kernels; k->run; k++) {
        for (size_t i = 0; usable(k) && i < MD_COUNT(rows); i++) {
            float y[17], x[17];

            for (int j = 0; j < 17; j++)
                x[j] = rows[i].x;
            k->run(y, x, 17, rows[i].op, 0, 0);
            for (int j = 0; j < 17; j++) {
                if (memcmp(&y[j], &rows[i].y, sizeof(float)) != 0)
                    fail_msg("%s: %s(%g) is %g, expected %g", k->name,
                             md_unary_name(rows[i].op), (double)rows[i].x,
                             (double)y[j], (double)rows[i].y);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_real__every_operator),
        cmocka_unit_test(test_unary_real__every_activation),
        cmocka_unit_test(test_unary_real__places_do_not_matter),
        cmocka_unit_test(test_unary_real__zeros_and_subnormals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
