/*
 * The loops of vcast, included by one file for each level, whose md_vcast_find
 * is find.  The conversions are those of tensor/float.h, written without
 * branches, so that compilers make vectors of them.
 */
#ifndef MD_KERNELS_VCAST_LOOPS_H
#define MD_KERNELS_VCAST_LOOPS_H

#include "base/attr.h"
#include "kernels/vcast.h"

/* The bits of a float and back. */
typedef union word {
    float f;
    uint32_t u;
} word;

static MD_ALWAYS_INLINE uint32_t bits_of(float f)
{
    return (word){ .f = f }.u;
}

static MD_ALWAYS_INLINE float float_of(uint32_t u)
{
    return (word){ .u = u }.f;
}

/* md_f64_to_i64 */
static MD_ALWAYS_INLINE int64_t whole(double d)
{
    double t = d >= 0x1p63 ? 0x1.fffffffffffffp62 : d;
    int64_t w;

    t = t < -0x1p63 ? -0x1p63 : t;
    t = t != t ? 0.0 : t;
    w = (int64_t)t;
    return d >= 0x1p63 ? INT64_MAX : w;
}

/* The same up to 2^64. */
static MD_ALWAYS_INLINE uint64_t whole_u64(double d)
{
    const bool high = (d >= 0x1p63) & (d < 0x1p64);
    const uint64_t w = (uint64_t)whole(high ? d - 0x1p63 : d);

    return d >= 0x1p64 ? UINT64_MAX : high ? w + (UINT64_C(1) << 63) : w;
}

/* md_f64_to_f32_odd */
static MD_ALWAYS_INLINE float odd(double d)
{
    const float f = (float)d;
    const double back = f;
    const double a = back < 0 ? -back : back, b = d < 0 ? -d : d;
    uint32_t u = bits_of(f);

    u -= a > b;
    u |= 1;
    return ((back == d) | (d != d)) ? f : float_of(u);
}

static MD_ALWAYS_INLINE uint16_t to_f16(float f)
{
    const uint32_t u = bits_of(f), mag = u & 0x7fffffff;
    const uint32_t small = bits_of(float_of(mag) + 0.5f) - 0x3f000000;
    const uint32_t usual = (mag + 0xfff + (mag >> 13 & 1) - 0x38000000) >> 13;
    uint32_t h = mag < 0x38800000 ? small : usual;

    h = mag >= 0x477ff000 ? 0x7c00 : h;
    h = mag > 0x7f800000 ? 0x7e00 : h;
    return (uint16_t)(h | (u >> 16 & 0x8000));
}

static MD_ALWAYS_INLINE float from_f16(uint16_t h)
{
    const uint32_t u = h, mag = (u & 0x7fff) << 13;
    const uint32_t sign = (u & 0x8000) << 16;
    const uint32_t usual = mag + (mag >= 0x0f800000 ? 0x70000000 : 0x38000000);
    const float small = (float)(int32_t)(u & 0x3ff) * 0x1p-24f;

    return float_of((mag < 0x00800000 ? bits_of(small) : usual) | sign);
}

static MD_ALWAYS_INLINE uint16_t to_bf16(float f)
{
    const uint32_t u = bits_of(f);
    const uint32_t even = (u + 0x7fff + (u >> 16 & 1)) >> 16;

    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : even);
}

static MD_ALWAYS_INLINE float from_bf16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

#define LOOP(to, from, R, T, value)                                            \
    static void from##_to_##to(void *y, const void *x, size_t n)               \
    {                                                                          \
        R *o = y;                                                              \
        const T *p = x;                                                        \
                                                                               \
        MD_SIMD                                                                \
        for (size_t i = 0; i < n; i++) {                                       \
            const T v = p[i];                                                  \
                                                                               \
            o[i] = (R)(value);                                                 \
        }                                                                      \
    }

/* To every type from integers, and from floats.  Signed types of the same size
 * take the unsigned loop: the low bits are kept. */
#define INTEGER(from, T)                                                       \
    LOOP(BOOL, from, uint8_t, T, v != 0)                                       \
    LOOP(U8, from, uint8_t, T, v)                                              \
    LOOP(U16, from, uint16_t, T, v)                                            \
    LOOP(U32, from, uint32_t, T, v)                                            \
    LOOP(U64, from, uint64_t, T, v)                                            \
    LOOP(F32, from, float, T, v)                                               \
    LOOP(F64, from, double, T, v)
#define FLOATING(from, T, double_of)                                           \
    LOOP(BOOL, from, uint8_t, T, double_of(v) != 0)                            \
    LOOP(U8, from, uint8_t, T, whole(double_of(v)))                            \
    LOOP(U16, from, uint16_t, T, whole(double_of(v)))                          \
    LOOP(U32, from, uint32_t, T, whole(double_of(v)))                          \
    LOOP(I64, from, int64_t, T, whole(double_of(v)))                           \
    LOOP(U64, from, uint64_t, T, whole_u64(double_of(v)))                      \
    LOOP(F32, from, float, T, double_of(v))                                    \
    LOOP(F64, from, double, T, double_of(v))

#define AS_IS(v) (v)

/* float32 to the low bits of int64, a block at a time: as if all of it fitted
 * into int32, for which there is one instruction, and once more where it does
 * not. */
#define NARROWING(to, R)                                                       \
    static void F32_near_##to(void *y, const void *x, size_t n)                \
    {                                                                          \
        enum {                                                                 \
            BLOCK = 512                                                        \
        };                                                                     \
        R *o = y;                                                              \
        const float *p = x;                                                    \
                                                                               \
        for (; n > 0; p += BLOCK, o += BLOCK) {                                \
            const size_t m = n < BLOCK ? n : BLOCK;                            \
            uint32_t top = 0; /* of all |x|, whose bits are in their order */  \
                                                                               \
            MD_SIMD_MAX(top)                                                   \
            for (size_t i = 0; i < m; i++) {                                   \
                const uint32_t mag = bits_of(p[i]) & 0x7fffffff;               \
                const bool fits = mag < 0x4f000000; /* 2^31; NaN is above */   \
                                                                               \
                top = mag > top ? mag : top;                                   \
                o[i] = (R)(int32_t)(fits ? p[i] : 0.0f);                       \
            }                                                                  \
            if (top >= 0x4f000000)                                             \
                F32_to_##to(o, p, m);                                          \
            n -= m;                                                            \
        }                                                                      \
    }

INTEGER(U8, uint8_t)
INTEGER(I8, int8_t)
INTEGER(U16, uint16_t)
INTEGER(I16, int16_t)
INTEGER(U32, uint32_t)
INTEGER(I32, int32_t)
INTEGER(U64, uint64_t)
INTEGER(I64, int64_t)
FLOATING(F32, float, AS_IS)
NARROWING(U8, uint8_t)
NARROWING(U16, uint16_t)
NARROWING(U32, uint32_t)
FLOATING(F64, double, AS_IS)
FLOATING(F16, uint16_t, from_f16)
FLOATING(BF16, uint16_t, from_bf16)
LOOP(F16, F32, uint16_t, float, to_f16(v))
LOOP(F16, F64, uint16_t, double, to_f16(odd(v)))
LOOP(BF16, F32, uint16_t, float, to_bf16(v))
LOOP(BF16, F64, uint16_t, double, to_bf16(odd(v)))

#define AT(to, from) ((int)MD_DTYPE_##to * MD_DTYPE_N + (int)MD_DTYPE_##from)
#define HAS(to, from, loop) .of[AT(to, from)] = loop,
#define HAS_INTEGER(type, from)                                                \
    HAS(BOOL, type, from##_to_BOOL)                                            \
    HAS(U8, type, from##_to_U8)                                                \
    HAS(I8, type, from##_to_U8)                                                \
    HAS(U16, type, from##_to_U16)                                              \
    HAS(I16, type, from##_to_U16)                                              \
    HAS(U32, type, from##_to_U32)                                              \
    HAS(I32, type, from##_to_U32)                                              \
    HAS(U64, type, from##_to_U64)                                              \
    HAS(I64, type, from##_to_U64)                                              \
    HAS(F32, type, from##_to_F32) HAS(F64, type, from##_to_F64)
#define HAS_FLOATING(from, narrow)                                             \
    HAS(BOOL, from, from##_to_BOOL)                                            \
    HAS(U8, from, from##_##narrow##_U8)                                        \
    HAS(I8, from, from##_##narrow##_U8)                                        \
    HAS(U16, from, from##_##narrow##_U16)                                      \
    HAS(I16, from, from##_##narrow##_U16)                                      \
    HAS(U32, from, from##_##narrow##_U32)                                      \
    HAS(I32, from, from##_##narrow##_U32)                                      \
    HAS(U64, from, from##_to_U64)                                              \
    HAS(I64, from, from##_to_I64)                                              \
    HAS(F32, from, from##_to_F32)                                              \
    HAS(F64, from, from##_to_F64)

static inline md_vcast_fn *find(md_dtype to, md_dtype from)
{
    /* clang-format off */
    static const struct {
        md_vcast_fn *of[MD_DTYPE_N * MD_DTYPE_N];
    } loops = {
        HAS_INTEGER(BOOL, U8)
        HAS_INTEGER(U8, U8)
        HAS_INTEGER(I8, I8)
        HAS_INTEGER(U16, U16)
        HAS_INTEGER(I16, I16)
        HAS_INTEGER(U32, U32)
        HAS_INTEGER(I32, I32)
        HAS_INTEGER(U64, U64)
        HAS_INTEGER(I64, I64)
        HAS_FLOATING(F32, near)
        HAS_FLOATING(F64, to)
        HAS_FLOATING(F16, to)
        HAS_FLOATING(BF16, to)
        HAS(F16, F32, F32_to_F16)
        HAS(F16, F64, F64_to_F16)
        HAS(BF16, F32, F32_to_BF16)
        HAS(BF16, F64, F64_to_BF16)
    };
    /* clang-format on */

    return loops.of[(int)to * MD_DTYPE_N + (int)from];
}

#endif
