#include "support/test.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/f32_near.h"
#include "kernels/vbinary.h"

enum {
    N_MAX = 150
};

static const md_dtype types[] = {
    MD_DTYPE_BOOL, MD_DTYPE_U8,  MD_DTYPE_I8,  MD_DTYPE_U16,
    MD_DTYPE_I16,  MD_DTYPE_U32, MD_DTYPE_I32, MD_DTYPE_U64,
    MD_DTYPE_I64,  MD_DTYPE_F32, MD_DTYPE_F64,
};

static size_t size_of(md_dtype t)
{
    return md_dtype_bits(t) / 8;
}

/* Element i, extended to 64 bits. */
static uint64_t get(const void *p, md_dtype t, size_t i)
{
    uint64_t v = 0;
    unsigned bits = md_dtype_bits(t);

    memcpy(&v, (const char *)p + i * size_of(t), size_of(t));
    if (md_dtype_is_signed(t) && bits < 64 && v >> (bits - 1))
        v |= UINT64_MAX << bits;
    return v;
}

static double get_float(const void *p, md_dtype t, size_t i)
{
    return t == MD_DTYPE_F32 ? (double)((const float *)p)[i]
                             : ((const double *)p)[i];
}

static int64_t rest(int64_t x, int64_t y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

static int64_t modulo(int64_t x, int64_t y)
{
    int64_t r = rest(x, y);

    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/* What signed and unsigned integers do each in their way. */
static uint64_t ordered(md_vbinary op, bool is_signed, uint64_t a, uint64_t b)
{
    int64_t x = (int64_t)a, y = (int64_t)b;

    switch (op) {
    case MD_VBINARY_DIV:
        if (b == 0)
            return 0;
        if (!is_signed)
            return a / b;
        return y == -1 ? 0 - a : (uint64_t)(x / y);
    case MD_VBINARY_MIN:
        return (is_signed ? x < y : a < b) ? a : b;
    case MD_VBINARY_MAX:
        return (is_signed ? x > y : a > b) ? a : b;
    case MD_VBINARY_PRELU:
        return is_signed && x < 0 ? a * b : a;
    case MD_VBINARY_LT:
        return is_signed ? x < y : a < b;
    case MD_VBINARY_LE:
        return is_signed ? x <= y : a <= b;
    case MD_VBINARY_MOD:
        return is_signed ? (uint64_t)modulo(x, y) : b ? a % b : 0;
    default:
        assert_int_equal(op, MD_VBINARY_REM);
        return is_signed ? (uint64_t)rest(x, y) : b ? a % b : 0;
    }
}

static uint64_t whole(md_vbinary op, md_dtype t, uint64_t a, uint64_t b)
{
    const uint64_t bits = md_dtype_bits(t);

    switch (op) {
    case MD_VBINARY_ADD:
        return a + b;
    case MD_VBINARY_SUB:
        return a - b;
    case MD_VBINARY_MUL:
        return a * b;
    case MD_VBINARY_EQ:
        return a == b;
    case MD_VBINARY_AND:
        return a & b;
    case MD_VBINARY_OR:
        return a | b;
    case MD_VBINARY_XOR:
        return a ^ b;
    case MD_VBINARY_SHL:
        return b < bits ? a << b : 0;
    case MD_VBINARY_SHR:
        return b < bits ? a >> b : 0;
    case MD_VBINARY_BOTH:
        return a && b;
    case MD_VBINARY_EITHER:
        return a || b;
    case MD_VBINARY_ONE:
        return !a != !b;
    default:
        return ordered(op, md_dtype_is_signed(t), a, b);
    }
}

static double floating(md_vbinary op, double a, double b)
{
    switch (op) {
    case MD_VBINARY_ADD:
        return a + b;
    case MD_VBINARY_SUB:
        return a - b;
    case MD_VBINARY_MUL:
        return a * b;
    case MD_VBINARY_DIV:
        return a / b;
    case MD_VBINARY_MIN:
        return isnan(a) || a < b ? a : b;
    case MD_VBINARY_MAX:
        return isnan(a) || a > b ? a : b;
    case MD_VBINARY_PRELU:
        return a < 0 ? a * b : a;
    case MD_VBINARY_EQ:
        return a == b;
    case MD_VBINARY_LT:
        return a < b;
    case MD_VBINARY_LE:
        return a <= b;
    default:
        assert_int_equal(op, MD_VBINARY_UNORDERED);
        return isnan(a) || isnan(b);
    }
}

/* The type's smallest, largest and other numbers that loops may get wrong
 * among random ones. */
static void fill(void *p, md_dtype t, size_t n, uint32_t *seed)
{
    static const int64_t whole_ones[] = { 0,         1,         -1,
                                          2,         INT8_MIN,  INT8_MAX,
                                          INT16_MIN, INT16_MAX, INT32_MIN,
                                          INT32_MAX, INT64_MIN, INT64_MAX };
    static const double floats[] = {
        0.0, -0.0, (double)NAN, (double)INFINITY, -1e-40, 2.5, 3e38, -7
    };

    md_guard_fill(p, n * size_of(t), seed);
    for (size_t i = 0; i < n; i++) {
        const uint32_t pick = md_guard_random(seed) % 36;
        double d = floats[pick % MD_COUNT(floats)];
        float f = (float)d;
        int64_t w = whole_ones[pick % MD_COUNT(whole_ones)];
        const void *from = t == MD_DTYPE_F64   ? (const void *)&d
                           : t == MD_DTYPE_F32 ? (const void *)&f
                                               : (const void *)&w;

        if (pick < 12)
            memcpy((char *)p + i * size_of(t), from, size_of(t));
    }
}

static bool is_right(md_vbinary op, md_dtype t, const void *y, const void *a,
                     const void *b, size_t i, int step)
{
    const size_t i_b = step ? i : 0;
    const md_dtype to = md_vbinary_result(op, t);
    double want;

    if (!md_dtype_is_float(t)) {
        uint64_t v = whole(op, t, get(a, t, i), get(b, t, i_b));

        return memcmp((const char *)y + i * size_of(to), &v, size_of(to)) == 0;
    }
    want = floating(op, get_float(a, t, i), get_float(b, t, i_b));
    if (to == MD_DTYPE_BOOL)
        return ((const uint8_t *)y)[i] == (want != 0);
    if (t == MD_DTYPE_F32)
        return f32_near_same(((const float *)y)[i], (float)want);
    return isnan(want) ? isnan(((const double *)y)[i])
                       : memcmp((const double *)y + i, &want, 8) == 0;
}

static void compute(const md_vbinary_kernel *k, md_vbinary op, md_dtype t,
                    void *y, const void *a, const void *b, size_t n, int step)
{
    k->find(op, t)(y, a, b, n, step);
    for (size_t i = 0; i < n; i++)
        if (!is_right(op, t, y, a, b, i, step))
            fail_msg("%s: op %d of %s: [%zu] of %zu is wrong", k->name, (int)op,
                     md_dtype_name(t), i, n);
}

/* As many as there are in a, and one for all. */
static void check(const md_vbinary_kernel *k, md_vbinary op, md_dtype t,
                  size_t n)
{
    const size_t size = n * size_of(t);
    const size_t size_y = n * size_of(md_vbinary_result(op, t));
    void *a = md_guard_alloc(size), *b = md_guard_alloc(size);
    void *one = md_guard_alloc(size_of(t)), *y = md_guard_alloc(size_y);
    uint32_t seed = (uint32_t)(n * 64 + op);

    fill(a, t, n, &seed);
    fill(b, t, n, &seed);
    fill(one, t, 1, &seed);
    compute(k, op, t, y, a, b, n, 1);
    if (size == size_y) { /* in place of either */
        void *was = md_guard_alloc(size);

        memcpy(was, a, size);
        k->find(op, t)(a, a, b, n, 1);
        assert_memory_equal(a, y, size);
        k->find(op, t)(b, was, b, n, 1);
        assert_memory_equal(b, y, size);
        memcpy(a, was, size);
        compute(k, op, t, y, a, one, n, 0);
        k->find(op, t)(a, a, one, n, 0);
        assert_memory_equal(a, y, size);
        md_guard_free(was, size);
    } else {
        compute(k, op, t, y, a, one, n, 0);
    }
    md_guard_free(a, size);
    md_guard_free(b, size);
    md_guard_free(one, size_of(t));
    md_guard_free(y, size_y);
}

static void test_vbinary__rows_are_right(void **state)
{
    (void)state;
    for (const md_vbinary_kernel *k = md_vbinary_kernels; k->find; k++) {
        int n_loops = 0;

        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int op = 0; op < MD_VBINARY_COUNT; op++) {
            for (size_t t = 0; t < MD_COUNT(types); t++) {
                if (!k->find((md_vbinary)op, types[t]))
                    continue;
                n_loops++;
                for (size_t n = 0; n < N_MAX; n += 1 + n / 12)
                    check(k, (md_vbinary)op, types[t], n);
            }
        }
        /* 10 types: 10 ops; 8: 5; 4: 2; 2: 1; bool: 4 */
        assert_int_equal(n_loops, 10 * 10 + 8 * 5 + 4 * 2 + 2 + 4);
    }
}

/* Every quotient of 8 bits; of 16 bits those next to whole numbers. */
static void test_vbinary__quotients_of_narrow_types_are_exact(void **state)
{
    const md_vbinary_kernel *k = md_vbinary_select(md_cpu_flags());
    uint16_t a[3], b[3], y[3];

    (void)state;
    for (int i = 0; i < 1 << 16; i++) {
        const uint8_t x = (uint8_t)i, z = (uint8_t)(i >> 8);
        const int8_t s = (int8_t)i, d = (int8_t)(i >> 8);
        uint8_t u;
        int8_t v;

        k->find(MD_VBINARY_DIV, MD_DTYPE_U8)(&u, &x, &z, 1, 1);
        assert_int_equal(u, z ? x / z : 0);
        k->find(MD_VBINARY_DIV, MD_DTYPE_I8)(&v, &s, &d, 1, 1);
        assert_int_equal(v, d ? (int8_t)(s / d) : 0);
    }
    for (uint32_t z = 1; z < 1 << 16; z += 7) {
        for (int i = 0; i < 3; i++) {
            a[i] = (uint16_t)(65535 / z * z - 1 + (uint32_t)i);
            b[i] = (uint16_t)z;
        }
        k->find(MD_VBINARY_DIV, MD_DTYPE_U16)(y, a, b, 3, 1);
        for (int i = 0; i < 3; i++)
            assert_int_equal(y[i], a[i] / b[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vbinary__rows_are_right),
        cmocka_unit_test(test_vbinary__quotients_of_narrow_types_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
