/*
 * The loops of vbinary, included by one file for each level, whose
 * md_vbinary_find is find.  Every expression is evaluated for every element,
 * without branches, so that compilers make vectors of it.
 */
#ifndef MD_KERNELS_VBINARY_LOOPS_H
#define MD_KERNELS_VBINARY_LOOPS_H

#include <limits.h>

#include "base/attr.h"
#include "kernels/vbinary.h"

#define SAME(T) T
#define FLAG(T) uint8_t

/* y = value of x and z, elements of type T. */
#define LOOP(op, id, T, R, value)                                              \
    static void op##_##id(void *y, const void *a, const void *b, size_t n,     \
                          int b_step)                                          \
    {                                                                          \
        R(T) *o = y;                                                           \
        const T *p = a, *q = b;                                                \
                                                                               \
        if (b_step == 0 && n > 0) {                                            \
            const T z = *q;                                                    \
                                                                               \
            MD_SIMD                                                            \
            for (size_t i = 0; i < n; i++) {                                   \
                const T x = p[i];                                              \
                                                                               \
                o[i] = (R(T))(value);                                          \
            }                                                                  \
            return;                                                            \
        }                                                                      \
        MD_SIMD                                                                \
        for (size_t i = 0; i < n; i++) {                                       \
            const T x = p[i], z = q[i];                                        \
                                                                               \
            o[i] = (R(T))(value);                                              \
        }                                                                      \
    }

#define FLOATS(op, R, value)                                                   \
    LOOP(op, F32, float, R, value)                                             \
    LOOP(op, F64, double, R, value)
#define UNSIGNED(op, R, value)                                                 \
    LOOP(op, U8, uint8_t, R, value)                                            \
    LOOP(op, U16, uint16_t, R, value)                                          \
    LOOP(op, U32, uint32_t, R, value)                                          \
    LOOP(op, U64, uint64_t, R, value)
#define SIGNED(op, R, value)                                                   \
    LOOP(op, I8, int8_t, R, value)                                             \
    LOOP(op, I16, int16_t, R, value)                                           \
    LOOP(op, I32, int32_t, R, value)                                           \
    LOOP(op, I64, int64_t, R, value)

/* Signed integers take the unsigned loops where the bits are the same. */
FLOATS(ADD, SAME, x + z)
UNSIGNED(ADD, SAME, x + z)
FLOATS(SUB, SAME, x - z)
UNSIGNED(SUB, SAME, x - z)
FLOATS(MUL, SAME, x *z)
UNSIGNED(MUL, SAME, 1u * x * z) /* uint16 would become int */
FLOATS(DIV, SAME, x / z)
FLOATS(MIN, SAME, ((x < z) | (x != x)) ? x : z)
UNSIGNED(MIN, SAME, x < z ? x : z)
SIGNED(MIN, SAME, x < z ? x : z)
FLOATS(MAX, SAME, ((x > z) | (x != x)) ? x : z)
UNSIGNED(MAX, SAME, x > z ? x : z)
SIGNED(MAX, SAME, x > z ? x : z)
FLOATS(PRELU, SAME, x < 0 ? x * z : x)
UNSIGNED(PRELU, SAME, ((void)z, x))
SIGNED(PRELU, SAME, x < 0 ? (uint64_t)x * (uint64_t)z : (uint64_t)x)
FLOATS(EQ, FLAG, x == z)
UNSIGNED(EQ, FLAG, x == z)
FLOATS(LT, FLAG, x < z)
UNSIGNED(LT, FLAG, x < z)
SIGNED(LT, FLAG, x < z)
FLOATS(LE, FLAG, x <= z)
UNSIGNED(LE, FLAG, x <= z)
SIGNED(LE, FLAG, x <= z)
FLOATS(UNORDERED, FLAG, (x != x) | (z != z))
UNSIGNED(AND, SAME, x &z)
UNSIGNED(OR, SAME, x | z)
UNSIGNED(XOR, SAME, x ^ z)

#define BITS(x) (sizeof(x) * CHAR_BIT)
UNSIGNED(SHL, SAME, z < BITS(x) ? x << (z & (BITS(x) - 1)) : 0)
UNSIGNED(SHR, SAME, z < BITS(x) ? x >> (z & (BITS(x) - 1)) : 0)

LOOP(BOTH, U8, uint8_t, SAME, (x != 0) & (z != 0))
LOOP(EITHER, U8, uint8_t, SAME, (x | z) != 0)
LOOP(ONE, U8, uint8_t, SAME, (x != 0) ^ (z != 0))

/*
 * Integer division.  Up to 32 bits through floats, for which there are vector
 * instructions: the quotient of two integers of k bits is either a whole
 * number or at least 2^-k of it away from one, so a float type of 2k bits and
 * more that rounds it does not reach the next.  0 and -1 (the smallest number
 * divided by it overflows) are set apart.
 */
#define UNSIGNED_QUOTIENT(id, T, F)                                            \
    static MD_ALWAYS_INLINE T quotient_##id(T x, T z)                          \
    {                                                                          \
        const T d = (T)(z ? z : 1);                                            \
                                                                               \
        return (T)((F)x / (F)d);                                               \
    }                                                                          \
    LOOP(DIV, id, T, SAME, z ? quotient_##id(x, z) : 0)                        \
    LOOP(MOD, id, T, SAME, z ? (T)(x - 1u * quotient_##id(x, z) * z) : 0)

#define SIGNED_QUOTIENT(id, T, F)                                              \
    static MD_ALWAYS_INLINE T quotient_##id(T x, T z)                          \
    {                                                                          \
        const T d = (T)(((z == 0) | (z == -1)) ? 1 : z);                       \
                                                                               \
        return (T)((F)x / (F)d);                                               \
    }                                                                          \
    static MD_ALWAYS_INLINE T rest_##id(T x, T z)                              \
    {                                                                          \
        const T d = (T)(((z == 0) | (z == -1)) ? 1 : z);                       \
                                                                               \
        return (T)(x - quotient_##id(x, d) * d);                               \
    }                                                                          \
    static MD_ALWAYS_INLINE T modulo_##id(T x, T z)                            \
    {                                                                          \
        const T r = rest_##id(x, z);                                           \
                                                                               \
        return (T)(((r != 0) & ((r < 0) != (z < 0))) ? r + z : r);             \
    }                                                                          \
    LOOP(DIV, id, T, SAME,                                                     \
         z == 0    ? 0                                                         \
         : z == -1 ? (T)(0 - (uint64_t)x)                                      \
                   : quotient_##id(x, z))                                      \
    LOOP(MOD, id, T, SAME, modulo_##id(x, z))                                  \
    LOOP(REM, id, T, SAME, rest_##id(x, z))

UNSIGNED_QUOTIENT(U8, uint8_t, float)
UNSIGNED_QUOTIENT(U16, uint16_t, float)
UNSIGNED_QUOTIENT(U32, uint32_t, double)
UNSIGNED_QUOTIENT(U64, uint64_t, uint64_t)
SIGNED_QUOTIENT(I8, int8_t, float)
SIGNED_QUOTIENT(I16, int16_t, float)
SIGNED_QUOTIENT(I32, int32_t, double)
SIGNED_QUOTIENT(I64, int64_t, int64_t)

#define AT(op, type) ((int)MD_VBINARY_##op * MD_DTYPE_N + (int)MD_DTYPE_##type)
#define HAS(op, type, loop) .of[AT(op, type)] = loop,
#define HAS_FLOATS(op) HAS(op, F32, op##_F32) HAS(op, F64, op##_F64)
#define HAS_UNSIGNED(op)                                                       \
    HAS(op, U8, op##_U8)                                                       \
    HAS(op, U16, op##_U16) HAS(op, U32, op##_U32) HAS(op, U64, op##_U64)
#define HAS_SIGNED(op)                                                         \
    HAS(op, I8, op##_I8)                                                       \
    HAS(op, I16, op##_I16) HAS(op, I32, op##_I32) HAS(op, I64, op##_I64)
#define HAS_SIGNED_TOO(op)                                                     \
    HAS_UNSIGNED(op)                                                           \
    HAS(op, I8, op##_U8)                                                       \
    HAS(op, I16, op##_U16) HAS(op, I32, op##_U32) HAS(op, I64, op##_U64)

static inline md_vbinary_fn *find(md_vbinary op, md_dtype type)
{
    /* clang-format off */
    static const struct {
        md_vbinary_fn *of[MD_VBINARY_COUNT * MD_DTYPE_N];
    } loops = {
        HAS_FLOATS(ADD)
        HAS_SIGNED_TOO(ADD)
        HAS_FLOATS(SUB)
        HAS_SIGNED_TOO(SUB)
        HAS_FLOATS(MUL)
        HAS_SIGNED_TOO(MUL)
        HAS_FLOATS(DIV)
        HAS_UNSIGNED(DIV)
        HAS_SIGNED(DIV)
        HAS_FLOATS(MIN)
        HAS_UNSIGNED(MIN)
        HAS_SIGNED(MIN)
        HAS_FLOATS(MAX)
        HAS_UNSIGNED(MAX)
        HAS_SIGNED(MAX)
        HAS_FLOATS(PRELU)
        HAS_UNSIGNED(PRELU)
        HAS_SIGNED(PRELU)
        HAS_FLOATS(EQ)
        HAS_SIGNED_TOO(EQ)
        HAS(EQ, BOOL, EQ_U8)
        HAS_FLOATS(LT)
        HAS_UNSIGNED(LT)
        HAS_SIGNED(LT)
        HAS_FLOATS(LE)
        HAS_UNSIGNED(LE)
        HAS_SIGNED(LE)
        HAS_FLOATS(UNORDERED)
        HAS_UNSIGNED(MOD)
        HAS_SIGNED(MOD)
        HAS(REM, U8, MOD_U8)
        HAS(REM, U16, MOD_U16)
        HAS(REM, U32, MOD_U32)
        HAS(REM, U64, MOD_U64)
        HAS_SIGNED(REM)
        HAS_SIGNED_TOO(AND)
        HAS_SIGNED_TOO(OR)
        HAS_SIGNED_TOO(XOR)
        HAS_UNSIGNED(SHL)
        HAS_UNSIGNED(SHR)
        HAS(BOTH, BOOL, BOTH_U8)
        HAS(EITHER, BOOL, EITHER_U8)
        HAS(ONE, BOOL, ONE_U8)
    };
    /* clang-format on */

    return loops.of[(int)op * MD_DTYPE_N + (int)type];
}

#endif
