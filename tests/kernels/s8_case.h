/* What the tests of the integer kernels share: a random output step and the
 * pairs of rows to run. */
#ifndef MD_TESTS_KERNELS_S8_CASE_H
#define MD_TESTS_KERNELS_S8_CASE_H

#include <stdlib.h>

#include "kernels/requant_s8.h"
#include "support/guard.h"

/* Which output step a case has; `how` counts through all of them.  Those of
 * bytes may have a residual too: s8_case_adds. */
static inline md_requant s8_case_requant(unsigned how, const float *mult,
                                         const float *bias, const uint8_t *lut)
{
    const bool is_signed = how & 1;
    md_requant q = {
        .mult = mult,
        .zero = is_signed ? -3 : 117,
        .q_min = is_signed ? -128 : 0,
        .q_max = is_signed ? 127 : 255,
        .res_zero = is_signed ? 5 : 131,
        .own_min = is_signed ? -127 : -90,
        .own_max = is_signed ? 101 : 165,
        .own_mult = 0.81f,
        .res_mult = 0.37f,
        .res_signed = is_signed,
    };

    if (how % 5 == 2)
        q.q_min = q.zero; /* ReLU */
    if (how % 5 == 3)
        q.lut = lut;
    if (how % 7 == 5) {
        q.out = MD_QOUT_F32;
        q.bias = how % 2 ? bias : NULL;
    }
    if (how % 7 == 6)
        q.out = MD_QOUT_S32;
    return q;
}

static inline bool s8_case_adds(const md_requant *q, unsigned how)
{
    return q->out == MD_QOUT_Q8 && how % 3;
}

/* Scales such that sums of k products spread over the byte range. */
static inline float *s8_case_mult(int64_t n, int64_t k, uint32_t *seed)
{
    float *m = md_guard_alloc((size_t)n * 4);

    for (int64_t i = 0; i < n; i++)
        m[i] = (0.2f + (float)(md_guard_random(seed) % 100) / 50) /
               (float)(40 * k);
    return m;
}

#endif
