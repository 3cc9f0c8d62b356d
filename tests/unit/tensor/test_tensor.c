/* Tensors: memory and ownership, and elements of every type as numbers. */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "support/fail_alloc.h"
#include "support/narrow.h"
#include "tensor/tensor.h"

#define AS_DATA(p) ((void *)(uintptr_t)(p))

static const md_dtype all_types[] = {
#define DTYPE(id, value, bits, name, v2, npy, cls) MD_DTYPE_##id,
#include "tensor/dtypes.def"
#undef DTYPE
};

static md_tensor over(md_dtype t, const void *data, int64_t n)
{
    return (
        md_tensor){ .dtype = t, .shape = { 1, { n } }, .data = AS_DATA(data) };
}

/* --- narrow floats --- */

/* Code of element 0, for types of at most 16 bits. */
static unsigned code_of(const md_tensor *t)
{
    uint16_t code;

    if (md_dtype_bits(t->dtype) == 16) {
        memcpy(&code, t->data, sizeof(code));
        return code;
    }
    return ((const uint8_t *)t->data)[0];
}

static void check_set_f64(const narrow_format *f, double v)
{
    uint8_t data[2] = { 0 };
    md_tensor t = over(f->type, data, 1);
    unsigned want = narrow_encode(f, v, md_dtype_bits(f->type) <= 8);

    md_tensor_set_f64(&t, 0, v);
    if (code_of(&t) != want)
        fail_msg("%s of %a: %#x, expected %#x", md_dtype_name(f->type), v,
                 code_of(&t), want);
}

/* A hair beside each middle of two codes: (float) would land on the middle,
 * and the tie would then go to the wrong side. */
static void test_tensor__doubles_are_rounded_once(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];

        for (unsigned c = 0; c < f->max; c++) {
            double at = narrow_decode(f, c), next = narrow_decode(f, c + 1);
            double middle = (at + next) / 2;

            check_set_f64(f, at);
            check_set_f64(f, middle);
            check_set_f64(f, -middle);
            check_set_f64(f, middle * (1 + 0x1p-50));
            check_set_f64(f, middle * (1 - 0x1p-50));
            check_set_f64(f, -middle * (1 + 0x1p-30));
            check_set_f64(f, -middle * (1 - 0x1p-30));
        }
    }
}

static void test_tensor__doubles_at_the_ends(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];
        double before = narrow_decode(f, f->max - 1);
        double over_max = f->finite + (f->finite - before) / 2;
        const double ends[] = { 0.0,
                                -0.0,
                                DBL_MIN,
                                -0x1p-1074,
                                DBL_MAX,
                                -DBL_MAX,
                                0x1p128,
                                (double)FLT_MAX * (1 + 0x1p-30),
                                over_max,
                                nextafter(over_max, 0.0),
                                -nextafter(over_max, 1e300),
                                f->tiny / 2,
                                nextafter(f->tiny / 2, 1.0),
                                nextafter(f->tiny / 2, 0.0),
                                (double)INFINITY,
                                (double)-INFINITY,
                                (double)NAN };

        for (size_t i = 0; i < MD_COUNT(ends); i++) {
            if (f->type == MD_DTYPE_F8E8M0 && fabs(ends[i]) > f->finite)
                continue; /* over_max is no middle there: 1.5 * 2^127 is */
            check_set_f64(f, ends[i]);
        }
    }
}

static void test_tensor__narrow_codes_are_read(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];

        for (unsigned c = 0; c < narrow_n_codes(f); c++) {
            uint16_t code = (uint16_t)c;
            md_tensor t = over(f->type, &code, 1);
            double want = narrow_decode(f, c);
            double got = md_tensor_get_f64(&t, 0);

            if (isnan(want) ? !isnan(got) : got != want)
                fail_msg("%s %#x: %a", md_dtype_name(f->type), c, got);
            /* truncated; NaN is 0, what int64 cannot hold its end */
            if (isnan(want))
                want = 0;
            assert_int_equal(md_tensor_get_i64(&t, 0),
                             want >= 0x1p63   ? INT64_MAX
                             : want < -0x1p63 ? INT64_MIN
                                              : (int64_t)want);
        }
    }
}

/* --- integers --- */

/* The low bits of v as a number of the type, by arithmetic alone. */
static int64_t wrapped(md_dtype t, int64_t v)
{
    unsigned bits = md_dtype_bits(t);
    int64_t range, r;

    if (bits == 64)
        return v;
    range = (int64_t)1 << bits;
    r = v % range;
    if (r < 0)
        r += range;
    return md_dtype_is_signed(t) && r >= range / 2 ? r - range : r;
}

static void test_tensor__integers_wrap(void **state)
{
    static const int64_t values[] = {
        0,         1,         -1,           2,          -2,         3,
        7,         8,         -8,           -9,         15,         16,
        127,       128,       -128,         -129,       255,        256,
        300,       32767,     32768,        -32769,     65535,      65536,
        INT32_MAX, INT32_MIN, 2147483648,   4294967295, 4294967296, -4294967297,
        INT64_MAX, INT64_MIN, INT64_MIN + 1
    };

    (void)state;
    for (size_t k = 0; k < MD_COUNT(all_types); k++) {
        if (!md_dtype_is_integer(all_types[k]))
            continue;
        for (size_t i = 0; i < MD_COUNT(values); i++) {
            uint64_t data = 0;
            md_tensor t = over(all_types[k], &data, 1);

            md_tensor_set_i64(&t, 0, values[i]);
            assert_int_equal(md_tensor_get_i64(&t, 0),
                             wrapped(all_types[k], values[i]));
            if (md_dtype_bits(all_types[k]) < 64)
                assert_true(md_tensor_get_f64(&t, 0) ==
                            (double)wrapped(all_types[k], values[i]));
        }
    }
}

/* Every element of the small types, from memory, in both forms. */
static void test_tensor__small_integers_are_read(void **state)
{
    (void)state;
    for (size_t k = 0; k < MD_COUNT(all_types); k++) {
        unsigned bits = md_dtype_bits(all_types[k]);

        if (!md_dtype_is_integer(all_types[k]) || bits > 16)
            continue;
        for (uint32_t c = 0; c < 1u << bits; c++) {
            uint16_t code = (uint16_t)c;
            md_tensor t = over(all_types[k], &code, 1);

            assert_int_equal(md_tensor_get_i64(&t, 0),
                             wrapped(all_types[k], c));
            assert_true(md_tensor_get_f64(&t, 0) ==
                        (double)wrapped(all_types[k], c));
        }
    }
}

static void test_tensor__doubles_to_integers(void **state)
{
    static const struct {
        double v;
        int64_t i64;
        uint64_t u64;
    } cases[] = {
        { 0.0, 0, 0 },
        { -0.0, 0, 0 },
        { 0.999, 0, 0 },
        { -0.999, 0, 0 },
        { 1.5, 1, 1 },
        { -1.5, -1, UINT64_MAX },
        { 300.7, 300, 300 },
        { -129.5, -129, (uint64_t)-129 },
        { 4294967296.0, 4294967296, 4294967296 },
        { 0x1.fffffffffffffp62, 0x7ffffffffffffc00, 0x7ffffffffffffc00 },
        { 0x1p63, INT64_MAX, (uint64_t)1 << 63 },
        { 0x1.fffffffffffffp63, INT64_MAX, 0xfffffffffffff800 },
        { 0x1p64, INT64_MAX, UINT64_MAX },
        { 0x1.0000000000001p64, INT64_MAX, UINT64_MAX },
        { 1e300, INT64_MAX, UINT64_MAX },
        { INFINITY, INT64_MAX, UINT64_MAX },
        { -0x1p63, INT64_MIN, (uint64_t)1 << 63 },
        { -0x1.0000000000001p63, INT64_MIN, (uint64_t)1 << 63 },
        { -INFINITY, INT64_MIN, (uint64_t)1 << 63 },
        { NAN, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        for (size_t k = 0; k < MD_COUNT(all_types); k++) {
            uint64_t data = 0;
            md_tensor t = over(all_types[k], &data, 1);

            if (!md_dtype_is_integer(all_types[k]))
                continue;
            md_tensor_set_f64(&t, 0, cases[i].v);
            if (all_types[k] == MD_DTYPE_U64)
                assert_true(data == cases[i].u64);
            else
                assert_int_equal(md_tensor_get_i64(&t, 0),
                                 wrapped(all_types[k], cases[i].i64));
        }
    }
}

static void test_tensor__uint64_is_read(void **state)
{
    const uint64_t data[] = { UINT64_MAX, (uint64_t)1 << 63, 5 };
    md_tensor t = over(MD_DTYPE_U64, data, 3);

    (void)state;
    assert_true(md_tensor_get_f64(&t, 0) == 0x1p64);
    assert_true(md_tensor_get_f64(&t, 1) == 0x1p63);
    assert_true(md_tensor_get_f64(&t, 2) == 5.0);
    assert_int_equal(md_tensor_get_i64(&t, 0), -1); /* wraps */
    assert_int_equal(md_tensor_get_i64(&t, 1), INT64_MIN);
}

/* Integers that double rounds to a tie of the type. */
static void test_tensor__integers_are_rounded_once(void **state)
{
    enum {
        BIG = 60
    };
    static const int64_t one = 1;
    const int64_t p = one << BIG;
    const struct {
        md_dtype type;
        int64_t v;
        double want;
    } cases[] = {
        { MD_DTYPE_F32, 16777217, 16777216 },
        { MD_DTYPE_F32, 16777219, 16777220 },
        { MD_DTYPE_F32, p + (one << 36), 0x1p60 }, /* the tie: to even */
        { MD_DTYPE_F32, p + (one << 36) + 1, 0x1.000002p60 },
        { MD_DTYPE_F32, p + (one << 36) - 1, 0x1p60 },
        { MD_DTYPE_F32, -p - (one << 36) - 1, -0x1.000002p60 },
        { MD_DTYPE_F32, p + 3 * (one << 36), 0x1.000004p60 },
        { MD_DTYPE_F32, p + 3 * (one << 36) - 1, 0x1.000002p60 },
        { MD_DTYPE_F32, INT64_MAX, 0x1p63 },
        { MD_DTYPE_F32, INT64_MIN, -0x1p63 },
        { MD_DTYPE_C64, p + (one << 36) + 1, 0x1.000002p60 },
        { MD_DTYPE_F64, (one << 53) + 1, 0x1p53 },
        { MD_DTYPE_F64, (one << 53) + 3, 0x1p53 + 4 },
        { MD_DTYPE_C128, -(one << 53) - 3, -0x1p53 - 4 },
        { MD_DTYPE_F64, INT64_MIN, -0x1p63 },
        { MD_DTYPE_BF16, p + (one << 52), 0x1p60 },
        { MD_DTYPE_BF16, p + (one << 52) + 1, 0x1.02p60 },
        { MD_DTYPE_BF16, -p - (one << 52) - 1, -0x1.02p60 },
        { MD_DTYPE_BF16, p + 3 * (one << 52) - 1, 0x1.02p60 },
        { MD_DTYPE_BF16, 257, 256 },
        { MD_DTYPE_BF16, 259, 260 },
        { MD_DTYPE_F16, 2049, 2048 },
        { MD_DTYPE_F16, -2051, -2052 },
        { MD_DTYPE_F16, 65519, 65504 },
        { MD_DTYPE_F16, 65520, INFINITY },
        { MD_DTYPE_F16, INT64_MIN, -INFINITY },
        { MD_DTYPE_F8E4M3FN, 17, 16 },
        { MD_DTYPE_F8E4M3FN, 19, 20 },
        { MD_DTYPE_F8E4M3FN, 1000, 448 },
        { MD_DTYPE_F8E5M2, -9, -8 },
        { MD_DTYPE_F8E5M2, INT64_MAX, 57344 },
        { MD_DTYPE_F8E4M3FNUZ, INT64_MIN, -240 },
        { MD_DTYPE_F8E5M2FNUZ, 11, 12 },
        { MD_DTYPE_F4E2M1, 5, 4 },
        { MD_DTYPE_F4E2M1, -100, -6 },
        { MD_DTYPE_F8E8M0, 3, 4 },
        { MD_DTYPE_F8E8M0, 3 * (p / 2) - 1, 0x1p60 },
        { MD_DTYPE_F8E8M0, INT64_MAX, 0x1p63 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        double data[2] = { 0 };
        md_tensor t = over(cases[i].type, data, 1);

        md_tensor_set_i64(&t, 0, cases[i].v);
        if (md_tensor_get_f64(&t, 0) != cases[i].want)
            fail_msg("%s of %lld: %a, expected %a",
                     md_dtype_name(cases[i].type), (long long)cases[i].v,
                     md_tensor_get_f64(&t, 0), cases[i].want);
    }
}

/* --- bool, complex, strings, wide floats --- */

static void test_tensor__bool(void **state)
{
    static const struct {
        double v;
        uint8_t want;
    } cases[] = { { 0.0, 0 },       { -0.0, 0 }, { 1.0, 1 }, { 256.0, 1 },
                  { 0x1p-1074, 1 }, { NAN, 1 },  { -3.0, 1 } };
    uint8_t data[3] = { 9, 9, 9 };
    md_tensor t = over(MD_DTYPE_BOOL, data, 3);

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_tensor_set_f64(&t, 1, cases[i].v);
        assert_int_equal(data[1], cases[i].want);
    }
    md_tensor_set_i64(&t, 1, (int64_t)1 << 32);
    assert_int_equal(data[1], 1);
    assert_int_equal(md_tensor_get_i64(&t, 1), 1);
    md_tensor_set_i64(&t, 1, 0);
    assert_true(md_tensor_get_f64(&t, 1) == 0.0);
    assert_int_equal(data[0], 9);
    assert_int_equal(data[2], 9);
}

static void test_tensor__complex(void **state)
{
    float c64[] = { 1, 2, 3, 4, 5, 6 };
    double c128[] = { 1, 2, 3, 4, 5, 6 };
    md_tensor a = over(MD_DTYPE_C64, c64, 3), b = over(MD_DTYPE_C128, c128, 3);

    (void)state;
    assert_true(md_tensor_get_f64(&a, 1) == 3.0);
    assert_int_equal(md_tensor_get_i64(&b, 2), 5);
    md_tensor_set_f64(&a, 1, -0.5);
    md_tensor_set_f64(&b, 1, 0.1);
    assert_true(c64[2] == -0.5f && c64[3] == 0.0f && c64[4] == 5.0f);
    assert_true(c128[2] == 0.1 && c128[3] == 0.0 && c128[1] == 2.0);
    md_tensor_set_i64(&b, 0, 7);
    assert_true(c128[0] == 7.0 && c128[1] == 0.0);
}

static void test_tensor__strings_are_no_numbers(void **state)
{
    md_str s[2] = { { "12", 2 }, { "x", 1 } };
    md_tensor t = over(MD_DTYPE_STRING, s, 2);

    (void)state;
    assert_true(md_tensor_get_f64(&t, 0) == 0.0);
    assert_int_equal(md_tensor_get_i64(&t, 0), 0);
    md_tensor_set_f64(&t, 0, 5.0);
    md_tensor_set_i64(&t, 1, 5);
    assert_string_equal(s[0].p, "12");
    assert_int_equal(s[1].n, 1);
}

static void test_tensor__wide_floats(void **state)
{
    float f[2] = { 0 };
    double d[1];
    md_tensor a = over(MD_DTYPE_F32, f, 2), b = over(MD_DTYPE_F64, d, 1);

    (void)state;
    md_tensor_set_f64(&a, 1, 1.0 + 0x1p-24 + 0x1p-50); /* above the tie */
    assert_true(f[1] == 1.0f + FLT_EPSILON);
    md_tensor_set_f64(&a, 1, -1e300);
    assert_true(isinf(f[1]) && f[1] < 0);
    assert_int_equal(md_tensor_get_i64(&a, 1), INT64_MIN);
    f[1] = -2.9f;
    assert_int_equal(md_tensor_get_i64(&a, 1), -2);
    md_tensor_set_f64(&b, 0, 0.1);
    assert_true(d[0] == 0.1);
    d[0] = NAN;
    assert_int_equal(md_tensor_get_i64(&b, 0), 0);
}

/* --- packed elements --- */

static void test_tensor__packing_order(void **state)
{
    static const struct {
        md_dtype type;
        int64_t v[5];
        uint8_t bytes[3];
    } cases[] = {
        { MD_DTYPE_U4, { 1, 2, 3, 15, 9 }, { 0x21, 0xf3, 0x09 } },
        { MD_DTYPE_I4, { -8, 7, -1, 0, 1 }, { 0x78, 0x0f, 0x01 } },
        { MD_DTYPE_U2, { 0, 1, 2, 3, 2 }, { 0xe4, 0x02, 0 } },
        { MD_DTYPE_I2, { -2, 1, -1, 0, 1 }, { 0x36, 0x01, 0 } },
        { MD_DTYPE_F4E2M1, { 1, -2, 6, 0, -4 }, { 0xc2, 0x07, 0x0e } },
    };

    (void)state;
    for (size_t k = 0; k < MD_COUNT(cases); k++) {
        uint8_t data[3] = { 0 };
        md_tensor t = over(cases[k].type, data, 5);

        for (int i = 0; i < 5; i++)
            md_tensor_set_i64(&t, i, cases[k].v[i]);
        assert_memory_equal(data, cases[k].bytes, 3);
        for (int i = 0; i < 5; i++)
            assert_int_equal(md_tensor_get_i64(&t, i), cases[k].v[i]);
    }
}

/* Each element at each place leaves its neighbours and the bytes around as
 * they were. */
static void test_tensor__packed_neighbours(void **state)
{
    enum {
        N = 13
    };
    static const md_dtype types[] = { MD_DTYPE_U4, MD_DTYPE_I4, MD_DTYPE_U2,
                                      MD_DTYPE_I2, MD_DTYPE_F4E2M1 };

    (void)state;
    for (size_t k = 0; k < MD_COUNT(types); k++) {
        unsigned bits = md_dtype_bits(types[k]);
        size_t size = (N * bits + 7) / 8;

        for (int i = 0; i < N; i++) {
            for (int fill = 0; fill < 2; fill++) {
                uint8_t data[16], want[16];
                md_tensor t = over(types[k], data + 1, N);

                memset(data, fill ? 0xff : 0, sizeof(data));
                memcpy(want, data, sizeof(data));
                for (unsigned b = 0; b < bits; b++) {
                    unsigned at = (unsigned)i * bits + b;
                    /* code 1, or 0 where all was 1 */
                    bool on = !fill && b == 0;
                    unsigned bit = 1u << at % 8;

                    want[1 + at / 8] = (uint8_t)(on ? want[1 + at / 8] | bit
                                                    : want[1 + at / 8] & ~bit);
                }
                md_tensor_set_f64(&t, i,
                                  fill                          ? 0.0
                                  : types[k] == MD_DTYPE_F4E2M1 ? 0.5
                                                                : 1.0);
                assert_memory_equal(data, want, sizeof(data));
                assert_true(size + 1 < sizeof(data));
            }
        }
    }
}

/* --- from one tensor to another --- */

static void test_tensor__set_from(void **state)
{
    static const uint64_t u_max = UINT64_MAX, u_tie = 0x8000008000000001;
    static const uint64_t u_bf16_tie = 0x8080000000000001, u_small = 77;
    static const int64_t i_odd = ((int64_t)1 << 53) + 1, i_minus = -1;
    static const double d_half = 2.5, d_nan = NAN, d_big = 1e300;
    static const float f_c64[] = { 3, 4 };
    static const uint8_t b_true = 1, u4 = 0x5f;
    static const struct {
        md_dtype from, to;
        const void *data;
        double want;
    } cases[] = {
        { MD_DTYPE_U64, MD_DTYPE_F64, &u_max, 0x1p64 },
        { MD_DTYPE_U64, MD_DTYPE_F32, &u_max, 0x1p64 },
        { MD_DTYPE_U64, MD_DTYPE_F32, &u_tie, 0x1.000002p63 },
        { MD_DTYPE_U64, MD_DTYPE_C64, &u_tie, 0x1.000002p63 },
        { MD_DTYPE_U64, MD_DTYPE_C128, &u_tie, 0x1.000001p63 },
        { MD_DTYPE_U64, MD_DTYPE_BF16, &u_bf16_tie, 0x1.02p63 },
        { MD_DTYPE_U64, MD_DTYPE_F16, &u_max, INFINITY },
        { MD_DTYPE_U64, MD_DTYPE_F8E4M3FN, &u_max, 448 },
        { MD_DTYPE_U64, MD_DTYPE_I64, &u_max, -1 },
        { MD_DTYPE_U64, MD_DTYPE_U64, &u_max, 0x1p64 },
        { MD_DTYPE_U64, MD_DTYPE_I8, &u_max, -1 },
        { MD_DTYPE_U64, MD_DTYPE_BOOL, &u_max, 1 },
        { MD_DTYPE_U64, MD_DTYPE_F32, &u_small, 77 },
        { MD_DTYPE_I64, MD_DTYPE_F64, &i_odd, 0x1p53 },
        { MD_DTYPE_I64, MD_DTYPE_I8, &i_odd, 1 },
        { MD_DTYPE_I64, MD_DTYPE_U16, &i_minus, 65535 },
        { MD_DTYPE_I64, MD_DTYPE_F16, &i_minus, -1 },
        { MD_DTYPE_F64, MD_DTYPE_I32, &d_half, 2 },
        { MD_DTYPE_F64, MD_DTYPE_F4E2M1, &d_half, 2 },
        { MD_DTYPE_F64, MD_DTYPE_BOOL, &d_nan, 1 },
        { MD_DTYPE_F64, MD_DTYPE_I32, &d_nan, 0 },
        { MD_DTYPE_F64, MD_DTYPE_U64, &d_big, 0x1p64 },
        { MD_DTYPE_F64, MD_DTYPE_F8E5M2, &d_big, 57344 },
        { MD_DTYPE_C64, MD_DTYPE_I16, f_c64, 3 },
        { MD_DTYPE_BOOL, MD_DTYPE_BF16, &b_true, 1 },
        { MD_DTYPE_I4, MD_DTYPE_F32, &u4, -1 },
        { MD_DTYPE_U4, MD_DTYPE_I2, &u4, -1 },
        { MD_DTYPE_F4E2M1, MD_DTYPE_F64, &u4, -6 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_tensor from = over(cases[i].from, cases[i].data, 1);
        double data[4] = { 0 };
        md_tensor to = over(cases[i].to, data, 2);

        md_tensor_set_from(&to, 1, &from, 0);
        if (md_tensor_get_f64(&to, 1) != cases[i].want)
            fail_msg("%s to %s: %a, expected %a", md_dtype_name(cases[i].from),
                     md_dtype_name(cases[i].to), md_tensor_get_f64(&to, 1),
                     cases[i].want);
        assert_true(md_tensor_get_f64(&to, 0) == 0.0 ||
                    cases[i].to == MD_DTYPE_F8E8M0);
    }
}

/* int64 does not pass through double on its way to int64. */
static void test_tensor__set_from_keeps_integers(void **state)
{
    static const int64_t v[] = { ((int64_t)1 << 53) + 1, INT64_MAX, INT64_MIN,
                                 -((int64_t)1 << 60) - 1 };
    md_tensor from = over(MD_DTYPE_I64, v, MD_COUNT(v));
    int64_t out[MD_COUNT(v)];
    md_tensor to = over(MD_DTYPE_I64, out, MD_COUNT(v));
    md_tensor as_u64 = over(MD_DTYPE_U64, out, MD_COUNT(v));

    (void)state;
    for (size_t i = 0; i < MD_COUNT(v); i++) {
        md_tensor_set_from(&to, (int64_t)i, &from, (int64_t)i);
        assert_int_equal(out[i], v[i]);
        md_tensor_set_from(&as_u64, (int64_t)i, &from, (int64_t)i);
        assert_int_equal(out[i], v[i]);
    }
}

/* --- memory --- */

static void test_tensor__bytes(void **state)
{
    const int64_t big = (int64_t)1 << 31;
    const struct {
        md_dtype type;
        md_shape shape;
        size_t size;
    } good[] = {
        { MD_DTYPE_F32, { 0, { 0 } }, 4 },
        { MD_DTYPE_F32, { 2, { 3, 5 } }, 60 },
        { MD_DTYPE_F64, { 3, { 3, 0, 5 } }, 0 },
        { MD_DTYPE_U4, { 1, { 1 } }, 1 },
        { MD_DTYPE_U4, { 2, { 3, 3 } }, 5 },
        { MD_DTYPE_U2, { 1, { 4 } }, 1 },
        { MD_DTYPE_I2, { 1, { 5 } }, 2 },
        { MD_DTYPE_STRING, { 1, { 2 } }, 2 * sizeof(md_str) },
        { MD_DTYPE_C128, { 1, { 3 } }, 48 },
        { MD_DTYPE_I8, { 3, { big, big, 0 } }, 0 },
        { MD_DTYPE_I8, { 2, { 0, INT64_MAX } }, 0 },
        { MD_DTYPE_I2, { 2, { big, big } }, (size_t)1 << 60 },
    };
    const struct {
        md_dtype type;
        md_shape shape;
        md_status status;
        const char *text;
    } bad[] = {
        { MD_DTYPE_F32,
          { 2, { 3, -1 } },
          MD_INVALID,
          "shape [3,-1] has the negative dimension -1" },
        { MD_DTYPE_F32,
          { 2, { 0, INT64_MIN } },
          MD_INVALID,
          "shape [0,-9223372036854775808] has the negative dimension" },
        { MD_DTYPE_U8,
          { 3, { big, big, 2 } },
          MD_TOO_LARGE,
          "shape [2147483648,2147483648,2] has more elements than 2^63" },
        /* a stride would not fit although there are no elements */
        { MD_DTYPE_I8,
          { 3, { 0, INT64_MAX, INT64_MAX } },
          MD_TOO_LARGE,
          "shape [0,9223372036854775807,9223372036854775807] has more" },
        { MD_DTYPE_F32,
          { 2, { big, big } },
          MD_TOO_LARGE,
          "shape [2147483648,2147483648] of float32 needs more than 2^64 "
          "bits" },
        { MD_DTYPE_STRING,
          { 1, { (int64_t)1 << 57 } },
          MD_TOO_LARGE,
          "of string needs more than 2^64 bits" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(good); i++) {
        md_error err = MD_ERROR_INIT;
        size_t size = 77;

        assert_md_ok(md_tensor_bytes(&size, good[i].type, &good[i].shape, &err),
                     &err);
        assert_int_equal(size, good[i].size);
    }
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t = MD_TENSOR_INIT;
        size_t size;

        assert_md_fails(
            md_tensor_bytes(&size, bad[i].type, &bad[i].shape, &err),
            bad[i].status, &err, bad[i].text);
        assert_md_fails(md_tensor_alloc(&t, bad[i].type, &bad[i].shape,
                                        md_alloc_default(), &err),
                        bad[i].status, &err, bad[i].text);
        assert_null(t.data);
    }
}

static void test_tensor__alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t k = 0; k < MD_COUNT(all_types); k++) {
        md_shape shape = { 2, { 3, 7 } };
        md_error err = MD_ERROR_INIT;
        md_tensor t = MD_TENSOR_INIT;
        size_t size = (21 * md_dtype_bits(all_types[k]) + 7) / 8;

        assert_md_ok(
            md_tensor_alloc(&t, all_types[k], &shape, md_alloc_default(), &err),
            &err);
        assert_int_equal(t.dtype, all_types[k]);
        assert_int_equal(md_tensor_n(&t), 21);
        assert_int_equal(md_tensor_size(&t), size);
        assert_int_equal((uintptr_t)t.data % MD_CACHE_LINE, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(((const uint8_t *)t.data)[i], 0);
        md_tensor_release(&t);
        assert_null(t.data);
        assert_null(t.owner);
        assert_int_equal(t.dtype, MD_DTYPE_NONE);
    }
}

static void test_tensor__without_elements(void **state)
{
    md_shape shape = { 2, { 4, 0 } };
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT, copy = MD_TENSOR_INIT;
    fail_alloc f;

    (void)state;
    fail_alloc_init(&f);
    fail_alloc_arm(&f, 0); /* nothing is asked for */
    assert_md_ok(md_tensor_alloc(&t, MD_DTYPE_STRING, &shape, &f.alloc, &err),
                 &err);
    assert_null(t.data);
    assert_md_ok(md_tensor_copy(&copy, &t, &f.alloc, &err), &err);
    assert_null(copy.data);
    assert_true(md_shape_equal(&copy.shape, &shape));
    assert_false(fail_alloc_disarm(&f));
    md_tensor_release(&t);
    md_tensor_release(&copy);
}

static void test_tensor__copies_are_apart(void **state)
{
    int16_t data[] = { 1, -2, 3 };
    md_tensor t = over(MD_DTYPE_I16, data, 3), copy = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_tensor_copy(&copy, &t, md_alloc_default(), &err), &err);
    data[1] = 9;
    assert_int_equal(md_tensor_get_i64(&copy, 1), -2);
    md_tensor_release(&t); /* borrowed: data stays */
    assert_int_equal(data[2], 3);
    md_tensor_release(&copy);
}

static void test_tensor__strings_are_copied_deeply(void **state)
{
    char text[] = "abcdef";
    md_str s[] = { { text, 3 }, { NULL, 0 }, { text + 3, 3 }, { "a\0b", 3 } };
    md_tensor t = over(MD_DTYPE_STRING, s, 4), copy = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;
    const md_str *got;
    fail_alloc f;

    (void)state;
    fail_alloc_init(&f);
    assert_md_ok(md_tensor_copy(&copy, &t, &f.alloc, &err), &err);
    assert_int_equal(f.n_live, 1); /* one block for all of it */
    memset(text, '!', 6);
    memset(s, 0, sizeof(s));
    got = copy.data;
    assert_int_equal(got[0].n, 3);
    assert_memory_equal(got[0].p, "abc", 3);
    assert_int_equal(got[1].n, 0);
    assert_memory_equal(got[2].p, "def", 3);
    assert_memory_equal(got[3].p, "a\0b", 3);
    md_tensor_release(&copy);
    assert_int_equal(f.n_live, 0);
}

static void test_tensor__out_of_memory(void **state)
{
    float data[4] = { 1, 2, 3, 4 };
    md_str s[2] = { { "a", 1 }, { "bc", 2 } };
    md_tensor numbers = over(MD_DTYPE_F32, data, 4);
    md_tensor strings = over(MD_DTYPE_STRING, s, 2);
    md_tensor out = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;
    fail_alloc f;

    (void)state;
    fail_alloc_init(&f);
    fail_alloc_arm(&f, 0);
    assert_md_fails(md_tensor_copy(&out, &numbers, &f.alloc, &err), MD_NOMEM,
                    &err, "out of memory: 16 bytes wanted");
    fail_alloc_arm(&f, 0);
    assert_md_fails(md_tensor_copy(&out, &strings, &f.alloc, &err), MD_NOMEM,
                    &err, "out of memory: 35 bytes wanted");
    fail_alloc_arm(&f, 0);
    assert_md_fails(
        md_tensor_alloc(&out, MD_DTYPE_U8, &numbers.shape, &f.alloc, &err),
        MD_NOMEM, &err, "out of memory: 4 bytes wanted");
    assert_null(out.data);
    assert_int_equal(f.n_live, 0);
    s[0].n = SIZE_MAX; /* lengths that overflow together */
    fail_alloc_disarm(&f);
    assert_md_fails(md_tensor_copy(&out, &strings, &f.alloc, &err), MD_NOMEM,
                    &err, "out of memory");
    assert_int_equal(f.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor__doubles_are_rounded_once),
        cmocka_unit_test(test_tensor__doubles_at_the_ends),
        cmocka_unit_test(test_tensor__narrow_codes_are_read),
        cmocka_unit_test(test_tensor__integers_wrap),
        cmocka_unit_test(test_tensor__small_integers_are_read),
        cmocka_unit_test(test_tensor__doubles_to_integers),
        cmocka_unit_test(test_tensor__uint64_is_read),
        cmocka_unit_test(test_tensor__integers_are_rounded_once),
        cmocka_unit_test(test_tensor__bool),
        cmocka_unit_test(test_tensor__complex),
        cmocka_unit_test(test_tensor__strings_are_no_numbers),
        cmocka_unit_test(test_tensor__wide_floats),
        cmocka_unit_test(test_tensor__packing_order),
        cmocka_unit_test(test_tensor__packed_neighbours),
        cmocka_unit_test(test_tensor__set_from),
        cmocka_unit_test(test_tensor__set_from_keeps_integers),
        cmocka_unit_test(test_tensor__bytes),
        cmocka_unit_test(test_tensor__alloc_is_zeroed_and_aligned),
        cmocka_unit_test(test_tensor__without_elements),
        cmocka_unit_test(test_tensor__copies_are_apart),
        cmocka_unit_test(test_tensor__strings_are_copied_deeply),
        cmocka_unit_test(test_tensor__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
