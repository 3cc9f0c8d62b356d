/* What both versions of quantize share. */
#ifndef MD_KERNELS_X86_QUANTIZE_VEC_H
#define MD_KERNELS_X86_QUANTIZE_VEC_H

#include "base/attr.h"
#include "kernels/quantize.h"

/* minps and maxps give their second operand where the first is NaN. */
void VF(md_quantize_limits)(float *lo, float *hi, const float *x, size_t n)
{
    enum {
        CHAINS = 4 /* of the latency of minps */
    };
    vf low[CHAINS], high[CHAINS];
    size_t i = 0;

    for (int c = 0; c < CHAINS; c++)
        low[c] = high[c] = vf_zero();
    for (; i + CHAINS * VF_LANES <= n; i += CHAINS * VF_LANES) {
        MD_UNROLL(4)
        for (int c = 0; c < CHAINS; c++) {
            const vf v = vf_load(x + i + (size_t)c * VF_LANES, VF_LANES);

            low[c] = vf_min(v, low[c]);
            high[c] = vf_max(v, high[c]);
        }
    }
    for (; i < n; i += VF_LANES) {
        const vf v = vf_load(x + i, n - i < VF_LANES ? n - i : VF_LANES);

        low[0] = vf_min(v, low[0]);
        high[0] = vf_max(v, high[0]);
    }
    for (int c = 1; c < CHAINS; c++) {
        low[0] = vf_min(low[c], low[0]);
        high[0] = vf_max(high[c], high[0]);
    }
    *lo = vf_min_lane(low[0]);
    *hi = vf_max_lane(high[0]);
}

#endif
