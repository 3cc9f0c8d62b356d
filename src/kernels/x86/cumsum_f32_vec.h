/* cumsum_f32 for one instruction set: a block of columns at a time, whose sums
 * stay in registers. */
#ifndef MD_KERNELS_X86_CUMSUM_F32_VEC_H
#define MD_KERNELS_X86_CUMSUM_F32_VEC_H

#include "base/attr.h"
#include "kernels/cumsum_f32.h"

enum {
    PARTS =
        VF_LANES / 2 /* vectors of a block: half of the registers are sums */
};

/* `parts` vectors of columns from c on, the last of m lanes. */
static MD_ALWAYS_INLINE void add_up(const md_cumsum_f32_args *a, int64_t c,
                                    int parts, size_t m, bool exclusive)
{
    vd low[PARTS], high[PARTS];

#pragma GCC unroll 8
    for (int p = 0; p < parts; p++)
        low[p] = high[p] = vd_set(0);
    for (int64_t i = 0; i < a->n; i++) {
        const float *x = a->x + i * a->step + c;
        float *y = a->y + i * a->step + c;

#pragma GCC unroll 8
        for (int p = 0; p < parts; p++) {
            const size_t lanes = p + 1 < parts ? VF_LANES : m;
            const vf v = vf_load(x + (size_t)p * VF_LANES, lanes);
            const vd low_sum = vd_add(low[p], vd_low(v));
            const vd high_sum = vd_add(high[p], vd_high(v));

            vf_store(y + (size_t)p * VF_LANES,
                     exclusive ? vd_join(low[p], high[p])
                               : vd_join(low_sum, high_sum),
                     lanes);
            low[p] = low_sum;
            high[p] = high_sum;
        }
    }
}

/* Inlined for each kind of sum. */
static MD_ALWAYS_INLINE void run(const md_cumsum_f32_args *a, bool exclusive)
{
    int64_t c = 0;

    for (; c + PARTS * VF_LANES <= a->columns; c += PARTS * VF_LANES)
        add_up(a, c, PARTS, VF_LANES, exclusive);
    for (; c < a->columns; c += VF_LANES) {
        const int64_t left = a->columns - c;

        add_up(a, c, 1, (size_t)(left < VF_LANES ? left : (int64_t)VF_LANES),
               exclusive);
    }
}

void VF(md_cumsum_f32)(const md_cumsum_f32_args *a)
{
    if (a->exclusive)
        run(a, true);
    else
        run(a, false);
}

#endif
