#include "kernels/dwconv_f32.h"

enum {
    BLOCK = 16
};

static float dot(const md_dwconv_f32_row *r, int64_t ox, int64_t lane)
{
    int64_t kx0, kx1;
    float sum = 0;

    md_dwconv_f32__inside(r, ox, &kx0, &kx1);
    for (int64_t ky = 0; ky < r->n_ky; ky++) {
        for (int64_t kx = kx0; kx < kx1; kx++) {
            const int64_t ix = ox * r->stride - r->pad_left + kx * r->dilation;

            sum += r->x[ky * r->x_row + ix * BLOCK + lane] *
                   r->w[(ky * r->kw + kx) * BLOCK + lane];
        }
    }
    if (r->bias)
        sum += r->bias[lane];
    if (r->residual)
        sum += r->residual[ox * BLOCK + lane];
    return md_act_apply(r->act, r->a, r->b, sum);
}

void md_dwconv_f32_row__ref(const md_dwconv_f32_row *r)
{
    for (int64_t ox = 0; ox < r->ow; ox++) {
        for (int64_t i = 0; i < BLOCK; i++)
            r->y[ox * BLOCK + i] = i < r->lanes ? dot(r, ox, i) : 0;
    }
}
