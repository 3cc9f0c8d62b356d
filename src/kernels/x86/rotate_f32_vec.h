#ifndef MD_KERNELS_X86_ROTATE_F32_VEC_H
#define MD_KERNELS_X86_ROTATE_F32_VEC_H

#include "kernels/rotate_f32.h"

static inline void turn_halves(float *y, const float *x, vf c, vf s,
                               int64_t half, size_t m)
{
    const vf p = vf_load(x, m), q = vf_load(x + half, m);

    vf_store(y, vf_sub(vf_mul(c, p), vf_mul(s, q)), m);
    vf_store(y + half, vf_add(vf_mul(s, p), vf_mul(c, q)), m);
}

/* m pairs of at most half the lanes; c and s have each angle twice. */
static inline void turn_pairs(float *y, const float *x, vf c, vf s, size_t m)
{
    const vf v = vf_load(x, 2 * m);

    vf_store(y, vf_sub_add(vf_mul(c, v), vf_mul(s, vf_swap(v))), 2 * m);
}

/* Angles in the outer loop: they are read once for all rows. */
void VF(md_rotate_f32)(const md_rotate_f32_args *a)
{
    const int64_t lanes = a->pairs ? VF_LANES / 2 : VF_LANES;

    for (int64_t i = 0; i < a->half; i += lanes) {
        const size_t m = (size_t)(a->half - i < lanes ? a->half - i : lanes);
        vf c = vf_load(a->c + i, m), s = vf_load(a->s + i, m);

        if (a->pairs) {
            c = vf_twice(c);
            s = vf_twice(s);
            for (int64_t r = 0; r < a->rows; r++)
                turn_pairs(a->y + r * a->step + 2 * i,
                           a->x + r * a->step + 2 * i, c, s, m);
        } else {
            for (int64_t r = 0; r < a->rows; r++)
                turn_halves(a->y + r * a->step + i, a->x + r * a->step + i, c,
                            s, a->half, m);
        }
    }
}

#endif
