#ifndef MD_KERNELS_X86_ROTATE_F32_VEC_H
#define MD_KERNELS_X86_ROTATE_F32_VEC_H

#include "base/attr.h"
#include "kernels/rotate_f32.h"

static MD_ALWAYS_INLINE void turn_halves(float *y, const float *x, vf c, vf s,
                                         int64_t half, size_t m)
{
    const vf p = vf_load(x, m), q = vf_load(x + half, m);

    vf_store(y, vf_sub(vf_mul(c, p), vf_mul(s, q)), m);
    vf_store(y + half, vf_add(vf_mul(s, p), vf_mul(c, q)), m);
}

/* m lanes, pairs side by side; c and s have each angle twice. */
static MD_ALWAYS_INLINE void turn_pairs(float *y, const float *x, vf c, vf s,
                                        size_t m)
{
    const vf v = vf_load(x, m);

    vf_store(y, vf_sub_add(vf_mul(c, v), vf_mul(s, vf_swap(v))), m);
}

/* All rows by angles i .. i + m. */
static MD_ALWAYS_INLINE void rows_of_pairs(const md_rotate_f32_args *a,
                                           int64_t i, size_t m)
{
    const vf c = vf_load(a->c + i, m), s = vf_load(a->s + i, m);
    const vf c0 = vf_twice_low(c), s0 = vf_twice_low(s);
    const vf c1 = vf_twice_high(c), s1 = vf_twice_high(s);
    const size_t m0 = 2 * m < VF_LANES ? 2 * m : VF_LANES;

    for (int64_t r = 0; r < a->rows; r++) {
        const int64_t at = r * a->step + 2 * i;

        turn_pairs(a->y + at, a->x + at, c0, s0, m0);
        if (2 * m > m0)
            turn_pairs(a->y + at + VF_LANES, a->x + at + VF_LANES, c1, s1,
                       2 * m - m0);
    }
}

static MD_ALWAYS_INLINE void rows_of_halves(const md_rotate_f32_args *a,
                                            int64_t i, size_t m)
{
    const vf c = vf_load(a->c + i, m), s = vf_load(a->s + i, m);

    for (int64_t r = 0; r < a->rows; r++)
        turn_halves(a->y + r * a->step + i, a->x + r * a->step + i, c, s,
                    a->half, m);
}

/* Angles in the outer loop: they are read once for all rows. */
void VF(md_rotate_f32)(const md_rotate_f32_args *a)
{
    int64_t i = 0;

    for (; i + VF_LANES <= a->half; i += VF_LANES) {
        if (a->pairs)
            rows_of_pairs(a, i, VF_LANES);
        else
            rows_of_halves(a, i, VF_LANES);
    }
    if (i < a->half) {
        if (a->pairs)
            rows_of_pairs(a, i, (size_t)(a->half - i));
        else
            rows_of_halves(a, i, (size_t)(a->half - i));
    }
}

#endif
