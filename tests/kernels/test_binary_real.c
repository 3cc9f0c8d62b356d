/*
 * Two floats, and two 8-bit values, against numbers computed exactly: every
 * row, ref too, gives the one float or code that is nearest.
 */
#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "kernels/binary_f32.h"
#include "kernels/binary_s8.h"
#include "kernels/real.h"
#include "support/guard.h"

static bool usable(const char *name, uint32_t required)
{
    if ((required & ~md_cpu_flags()) == 0)
        return true;
    print_message("skipped: %s (not on this CPU)\n", name);
    return false;
}

/* Sums, products and quotients of floats have an exact double, or one whose
 * rounding to float is that of the exact value (Figueroa 1995). */
static float expected(md_binary op, float a, float b)
{
    switch (op) {
    case MD_BINARY_ADD:
        return real_round((double)a + b);
    case MD_BINARY_SUB:
        return real_round((double)a - b);
    case MD_BINARY_MUL:
        return real_round((double)a * b);
    case MD_BINARY_DIV:
        return real_round((double)a / b);
    case MD_BINARY_MIN: /* of equal ones, as of -0 and 0, the second */
        return isnan(a) ? a : isnan(b) ? b : a < b ? a : b;
    case MD_BINARY_MAX:
        return isnan(a) ? a : isnan(b) ? b : a > b ? a : b;
    case MD_BINARY_PRELU:
        return a < 0 ? real_round((double)a * b) : a;
    case MD_BINARY_GATE:
        return b > 0 ? a : 0;
    case MD_BINARY_POW:
    case MD_BINARY_COUNT:
        break;
    }
    return a;
}

static bool same(float got, float want)
{
    return (isnan(got) && isnan(want)) || memcmp(&got, &want, sizeof(got)) == 0;
}

/* Specials beside each other, then any floats. */
static void fill(float *a, float *b)
{
    uint32_t seed = 17;

    for (uint32_t i = 0; i < REAL_SWEEP; i++) {
        a[i] = real_sweep(i % 81 / 9 + (i < 81 ? 0 : i));
        b[i] = i < 81 ? real_sweep(i % 9)
                      : real_sweep(md_guard_random(&seed) % REAL_SWEEP);
        if (i % 3 == 1 && i > 81) /* sums that round: exponents that meet */
            b[i] = a[i] * (1 + (float)(i % 97) / 64);
        if (i % 7 == 1 && i > 81) /* quotients and products that do */
            b[i] = (float)(i % 1000) / 7;
    }
}

static void check_op(const md_binary_f32_kernel *k, md_binary op,
                     const float *a, const float *b, float *y)
{
    const md_binary_op o = { .op = op };

    k->run(y, a, b, REAL_SWEEP, 1, 1, &o);
    for (uint32_t i = 0; i < REAL_SWEEP; i++) {
        const float want = expected(op, a[i], b[i]);

        if (op == MD_BINARY_POW
                ? !real_near(y[i], powl(a[i], b[i]), 1) && b[i] != 2
                : !same(y[i], want))
            fail_msg("%s: op %d of %.9g and %.9g is %.9g, expected %.9g",
                     k->name, (int)op, (double)a[i], (double)b[i], (double)y[i],
                     (double)want);
    }
}

static void test_binary_real__every_operator(void **state)
{
    float *a = md_guard_alloc(REAL_SWEEP * sizeof(*a));
    float *b = md_guard_alloc(REAL_SWEEP * sizeof(*b));
    float *y = md_guard_alloc(REAL_SWEEP * sizeof(*y));

    (void)state;
    fill(a, b);
    for (const md_binary_f32_kernel *k = md_binary_f32_kernels; k->run; k++) {
        for (int op = 0; usable(k->name, k->required) && op < MD_BINARY_COUNT;
             op++)
            check_op(k, (md_binary)op, a, b, y);
    }
    md_guard_free(a, REAL_SWEEP * sizeof(*a));
    md_guard_free(b, REAL_SWEEP * sizeof(*b));
    md_guard_free(y, REAL_SWEEP * sizeof(*y));
}

/* The square is one product, in place of a rounding of libm's power. */
static void test_binary_real__squares(void **state)
{
    (void)state;
    for (const md_binary_f32_kernel *k = md_binary_f32_kernels; k->run; k++) {
        const md_binary_op o = { .op = MD_BINARY_POW };
        const float two = 2;

        for (uint32_t i = 0; usable(k->name, k->required) && i < 2000; i++) {
            const float x = real_sweep(i);
            float y;

            k->run(&y, &x, &two, 1, 1, 0, &o);
            assert_true(same(y, real_round((double)x * x)));
        }
    }
}

/* A row is repeated, stepped, cut anywhere: the same bits. */
static void test_binary_real__places_do_not_matter(void **state)
{
    enum {
        N = 41
    };
    float a[N + 1], b[N + 1], all[N];
    uint32_t seed = 5;

    (void)state;
    for (int i = 0; i <= N; i++) {
        a[i] = real_sweep(md_guard_random(&seed) % REAL_SWEEP);
        b[i] = real_sweep(md_guard_random(&seed) % REAL_SWEEP);
    }
    for (const md_binary_f32_kernel *k = md_binary_f32_kernels; k->run; k++) {
        for (int i = 0; usable(k->name, k->required) &&
                        i < MD_BINARY_COUNT * MD_ACT_COUNT * 3;
             i++) {
            const md_binary_op o = { (md_binary)(i % MD_BINARY_COUNT),
                                     (md_act)(i / 3 / MD_BINARY_COUNT), -0.5f,
                                     2.0f };
            const int as = i / MD_BINARY_COUNT % 3 != 1;
            const int bs = i / MD_BINARY_COUNT % 3 != 2;

            k->run(all, a + 1, b + 1, N, as, bs, &o);
            for (int j = 0; j < N; j++) {
                float one;

                k->run(&one, a + 1 + (size_t)as * (size_t)j,
                       b + 1 + (size_t)bs * (size_t)j, 1, 1, 1, &o);
                if (!same(one, all[j]))
                    fail_msg("%s: op %d act %d [%d]: %.9g alone, %.9g", k->name,
                             (int)o.op, (int)o.act, j, (double)one,
                             (double)all[j]);
            }
        }
    }
}

/* Nothing is read or written for no elements. */
static void test_binary_real__nothing(void **state)
{
    (void)state;
    for (const md_binary_f32_kernel *k = md_binary_f32_kernels; k->run; k++) {
        float *edge = md_guard_alloc(0);
        const md_binary_op o = { .op = MD_BINARY_ADD };
        const float a = 1;

        if (usable(k->name, k->required))
            k->run(edge, edge, &a, 0, 1, 1, &o);
        md_guard_free(edge, 0);
    }
}

/* ---- 8 bits ---- */

/* Three roundings to float, one to an integer, a clamp: each by itself. */
static uint8_t expected_s8(const md_binary_s8_op *op, uint8_t a, uint8_t b)
{
    const int x = (op->a_signed ? (int)(int8_t)a : (int)a) - op->a_zero;
    const int y = (op->b_signed ? (int)(int8_t)b : (int)b) - op->b_zero;
    float t;
    long double q;
    uint8_t code;

    if (op->mul)
        t = real_round((double)(x * y) * op->a_mult);
    else
        t = real_round((double)real_round((double)x * op->a_mult) +
                       (double)real_round((double)y * op->b_mult));
    q = isnan(t) ? op->q_min : real_half_even(t) + op->zero;
    q = q < op->q_min ? op->q_min : q > op->q_max ? op->q_max : q;
    code = (uint8_t)(int)q;
    return op->lut ? op->lut[code] : code;
}

static md_binary_s8_op op_of(uint32_t how, const uint8_t *lut)
{
    static const float mults[] = { 0.5f,   -0.25f, 1.0f,     0.0173f,
                                   1e-30f, 3e38f,  INFINITY, 0.0f };
    const bool is_signed = how & 4;

    return (md_binary_s8_op){
        .mul = how & 1,
        .a_signed = how & 2,
        .b_signed = is_signed,
        .a_zero = how & 2 ? -128 + (int)(how % 256) : (int)(how % 256),
        .b_zero = is_signed ? 127 : 255,
        .a_mult = mults[how / 8 % 8],
        .b_mult = mults[how / 64 % 8],
        .zero = is_signed ? -128 : 255,
        .q_min = is_signed ? -128 : (int)(how % 3) * 60,
        .q_max = is_signed ? 127 - (int)(how % 5) : 255,
        .lut = how % 11 == 3 ? lut : NULL,
    };
}

/* All pairs of codes, for scales that tie, vanish and overflow. */
static void check_pairs(const md_binary_s8_kernel *k, uint32_t how)
{
    uint8_t a[256], lut[256], y[256];
    md_binary_s8_op op;

    for (int i = 0; i < 256; i++) {
        a[i] = (uint8_t)i;
        lut[i] = (uint8_t)(i * 7 + 3);
    }
    op = op_of(how, lut);
    for (int j = 0; j < 256; j += how % 2 ? 1 : 5) {
        const uint8_t b = (uint8_t)j;

        k->run(y, a, &b, 256, 1, 0, &op);
        for (int i = 0; i < 256; i++) {
            if (y[i] != expected_s8(&op, a[i], b))
                fail_msg("%s: how %u, codes %d and %d: %d, expected %d",
                         k->name, how, i, j, y[i], expected_s8(&op, a[i], b));
        }
    }
}

static void test_binary_real__pairs_of_codes(void **state)
{
    (void)state;
    for (const md_binary_s8_kernel *k = md_binary_s8_kernels; k->run; k++) {
        for (uint32_t how = 0; usable(k->name, k->required) && how < 512;
             how += 7)
            check_pairs(k, how);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_real__every_operator),
        cmocka_unit_test(test_binary_real__squares),
        cmocka_unit_test(test_binary_real__places_do_not_matter),
        cmocka_unit_test(test_binary_real__nothing),
        cmocka_unit_test(test_binary_real__pairs_of_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
