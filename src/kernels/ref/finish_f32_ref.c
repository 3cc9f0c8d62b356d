#include "kernels/finish_f32.h"

enum {
    LANES = 16
};

void md_finish_f32__ref(const md_epilogue *ep, const md_finish_tile *t)
{
    for (int r = 0; r < t->rows; r++) {
        const float *sum = t->sum + r * t->sum_stride;
        float *out = t->out + r * t->out_stride;

        for (int j = 0; j < t->lanes; j++) {
            const float add =
                t->residual ? t->residual[r * t->out_stride + j] : 0;

            out[j] = md_act_apply(ep->act, ep->a, ep->b, sum[j] + add);
        }
        for (int j = t->lanes; t->pad && j < LANES; j++)
            out[j] = 0;
    }
}
