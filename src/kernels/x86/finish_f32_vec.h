#ifndef MD_KERNELS_X86_FINISH_F32_VEC_H
#define MD_KERNELS_X86_FINISH_F32_VEC_H

#include "base/attr.h"
#include "kernels/finish_f32.h"

enum {
    BLOCK = 16
};

/* act is a constant wherever this is inlined. */
static MD_ALWAYS_INLINE void finish(const md_finish_tile *t, const md_act act,
                                    vf a, vf b)
{
    for (int i = 0; i < BLOCK; i += VF_LANES) {
        const int left = t->lanes > i ? t->lanes - i : 0;
        const size_t m = left < VF_LANES ? (size_t)left : VF_LANES;
        const size_t stored = t->pad ? VF_LANES : m;

        if (stored == 0)
            break;
        for (int r = 0; r < t->rows; r++) {
            const int64_t at = r * t->out_stride + i;
            vf v = vf_load(t->sum + r * t->sum_stride + i, VF_LANES);

            if (t->residual && m > 0)
                v = vf_add(v, vf_load(t->residual + at, m));
            v = vf_act(act, a, b, v);
            if (m < stored)
                v = vf_keep(v, m, vf_zero());
            vf_store(t->out + at, v, stored);
        }
    }
}

void VF(md_finish_f32)(const md_epilogue *ep, const md_finish_tile *t)
{
    const vf a = vf_set(ep->a), b = vf_set(ep->b);

#define ACT(id)                                                                \
    case MD_ACT_##id:                                                          \
        finish(t, MD_ACT_##id, a, b);                                          \
        break;
    switch (ep->act) {
        ACT(NONE)
        ACT(RELU)
        ACT(CLIP)
        ACT(SCALE)
        ACT(LEAKY_RELU)
        ACT(SIGMOID)
        ACT(TANH)
        ACT(SILU)
        ACT(HARD_SIGMOID)
        ACT(HARD_SWISH)
        ACT(GELU_ERF)
        ACT(GELU_TANH)
    case MD_ACT_COUNT:
        break;
    }
#undef ACT
}

#endif
