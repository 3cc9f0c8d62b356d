/* What the tests of the bf16 products share: rounding as they do, and what
 * their sums may be off by. */
#ifndef MD_TESTS_KERNELS_BF16_CASE_H
#define MD_TESTS_KERNELS_BF16_CASE_H

#include "conv_f32_case.h"

#include "tensor/float.h"

/* x as an operand. */
static inline double bf16_rounded(float x)
{
    return md_bf16_to_f32(md_f32_to_bf16(x));
}

/* Products are exact, so only the sums round: see gemm_bf16.h. */
static inline void bf16_check(const char *who, float got, const md_epilogue *ep,
                              const conv_sum *s)
{
    f32_check_terms(who, got, ep, s->sum, s->mag, 2 * (double)(s->n + 4));
}

#endif
