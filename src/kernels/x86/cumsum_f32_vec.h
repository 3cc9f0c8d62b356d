/* cumsum_f32 for one instruction set: a block of columns at a time, whose sums
 * stay in registers. */
#ifndef MD_KERNELS_X86_CUMSUM_F32_VEC_H
#define MD_KERNELS_X86_CUMSUM_F32_VEC_H

#include "base/attr.h"
#include "kernels/cumsum_f32.h"

enum {
    HALF = VF_LANES / 2,
    PARTS = HALF, /* vectors of a block: half of the registers are sums */
    AHEAD = 8     /* rows that are asked for before they are read */
};

/* Half a vector at x is added to *sum; y gets what it is after, or before. An
 * addition is a product by 1 and one: conversions occupy the units of plain
 * additions, which on Zen 4 are not those of products. */
static MD_ALWAYS_INLINE void add_half(float *y, const float *x, vd *sum,
                                      bool exclusive)
{
    const vd before = *sum;

    *sum = vd_fmadd(vd_widen(x), vd_set(1.0), before);
    vd_narrow(y, exclusive ? before : *sum);
}

/* `parts` vectors of columns from c on. */
static MD_ALWAYS_INLINE void add_block(const md_cumsum_f32_args *a, int64_t c,
                                       const int parts, bool exclusive)
{
    vd sum[2 * PARTS];

    MD_UNROLL(16)
    for (int h = 0; h < 2 * parts; h++)
        sum[h] = vd_set(0);
    for (int64_t i = 0; i < a->n; i++) {
        const float *x = a->x + i * a->step + c;
        float *y = a->y + i * a->step + c;
        const float *ahead = i + AHEAD < a->n ? x + AHEAD * a->step : x;

        MD_UNROLL(8)
        for (int h = 0; h < parts; h++)
            _mm_prefetch((const char *)(ahead + (ptrdiff_t)h * VF_LANES),
                         _MM_HINT_T0);
        MD_UNROLL(16)
        for (int h = 0; h < 2 * parts; h++)
            add_half(y + (ptrdiff_t)h * HALF, x + (ptrdiff_t)h * HALF, &sum[h],
                     exclusive);
    }
}

/* m columns from c on, at most a vector. */
static MD_ALWAYS_INLINE void add_some(const md_cumsum_f32_args *a, int64_t c,
                                      size_t m, bool exclusive)
{
    vd low = vd_set(0), high = low;

    for (int64_t i = 0; i < a->n; i++) {
        const vf v = vf_load(a->x + i * a->step + c, m);
        const vd low_before = low, high_before = high;

        low = vd_add(low, vd_low(v));
        high = vd_add(high, vd_high(v));
        vf_store(a->y + i * a->step + c,
                 exclusive ? vd_join(low_before, high_before)
                           : vd_join(low, high),
                 m);
    }
}

/* Inlined for each kind of sum. */
static MD_ALWAYS_INLINE void run(const md_cumsum_f32_args *a, bool exclusive)
{
    int64_t c = 0;

    for (; c + PARTS * VF_LANES <= a->columns; c += PARTS * VF_LANES)
        add_block(a, c, PARTS, exclusive);
    for (; c + 2 * VF_LANES <= a->columns; c += (int64_t)2 * VF_LANES)
        add_block(a, c, 2, exclusive);
    for (; c < a->columns; c += VF_LANES) {
        const int64_t left = a->columns - c;

        add_some(a, c, (size_t)(left < VF_LANES ? left : (int64_t)VF_LANES),
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
