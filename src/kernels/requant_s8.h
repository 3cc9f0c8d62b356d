/*
 * From exact 32-bit sums to outputs: the last step of every integer kernel.
 *
 * Rows and channels may have zero points that the sums do not know of: of
 * MD_QOUT_F32 and MD_QOUT_S32 acc first becomes
 * acc + sum over i of row[i][r] * column[i][c], modulo 2^32.
 *
 * For channel c:  t = (float)acc * mult[c], rounded once; then
 * q = clamp(round_half_even(t) + zero, q_min, q_max) and, with a table,
 * q = lut[q as a byte].  With a residual the sum becomes a code of its own
 * before, less its zero point, as if it had been stored:
 *     o = clamp(round_half_even(t), own_min, own_max)
 *     t = (float)o * own_mult + (float)(r - res_zero) * res_mult
 * each operation rounded, which is what binary_s8.h does.  MD_QOUT_F32 stores
 * t (+ bias[c]) (+ add[r][c]), MD_QOUT_S32 acc.  Of MD_QOUT_F32 rows may have
 * scales: t = (float)acc * (row_mult[r] * mult[c]), both products rounded; and
 * with `codes` t is what its code stands for, t = (float)o * own_mult.
 * Every level gives the same bits.  A NaN (from an infinite mult) becomes
 * the least code.
 */
#ifndef MD_KERNELS_REQUANT_S8_H
#define MD_KERNELS_REQUANT_S8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    MD_LANES = 16,       /* channels of an NC16 block */
    MD_REQUANT_TERMS = 2 /* of zero points, at most */
};

typedef enum md_qout {
    MD_QOUT_Q8, /* u8 or s8: the low byte of q */
    MD_QOUT_F32,
    MD_QOUT_S32,
} md_qout;

/* What is the same for a whole tensor; borrowed by the kernels. */
typedef struct md_requant {
    md_qout out;
    const float *mult;        /* [channels up to a multiple of 16] */
    const float *bias;        /* the same length, F32 only; NULL: none */
    int32_t zero;             /* of the output */
    int32_t q_min;            /* >= 0 for u8, >= -128 for s8; also ReLU, Clip */
    int32_t q_max;            /* <= 255 for u8, <= 127 for s8 */
    const uint8_t *lut;       /* [256]; NULL: none */
    bool codes;               /* of F32 only */
    int32_t own_min, own_max; /* own_min <= 0 <= own_max, |each| <= 255 */
    float own_mult, res_mult;
    int32_t res_zero;
    bool res_signed;
    /* [channels up to a multiple of 16] each; the first NULL ends.  Not of
     * Q8. */
    const int32_t *column[MD_REQUANT_TERMS];
} md_requant;

/* rows x lanes sums of neighbouring channels; strides of out and res in bytes,
 * of acc and add in elements.  res NULL: no residual; there is none of F32 and
 * S32.  out must not overlap acc; it may be res or add. */
typedef struct md_requant_tile {
    const int32_t *acc;
    int64_t acc_stride;
    void *out;
    int64_t out_stride;
    const void *res;
    int64_t res_stride;
    int rows;
    int lanes;
    const int32_t *row[MD_REQUANT_TERMS]; /* [rows]; for each column[] */
    const float *row_mult;                /* [rows], F32 only; NULL: none */
    const float *add;                     /* F32 only; NULL: nothing */
    int64_t add_stride;
} md_requant_tile;

/* Requantize a tile whose first channel is c0, a multiple of 16. */
typedef void md_requant_fn(const md_requant *q, int64_t c0,
                           const md_requant_tile *t);

typedef struct md_requant_s8_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_requant_fn *run;
} md_requant_s8_kernel;

#define K(isa, need) md_requant_fn md_requant_s8__##isa;
#include "kernels/requant_s8.def"
#undef K

extern const md_requant_s8_kernel md_requant_s8_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_requant_s8_kernel *md_requant_s8_select(uint32_t cpu_flags);

/* Bytes of one output element. */
static inline int64_t md_qout_size(md_qout out)
{
    return out == MD_QOUT_Q8 ? 1 : 4;
}

/* Move t to the next block of channels. */
static inline void md_requant__next(const md_requant *q, md_requant_tile *t)
{
    t->acc += MD_LANES;
    t->out = (char *)t->out + md_qout_size(q->out) * MD_LANES;
    t->res = t->res ? (const uint8_t *)t->res + MD_LANES : NULL;
    t->add = t->add ? t->add + MD_LANES : NULL;
}

#endif
