#include "kernels/conv_f32.h"

#include <stddef.h>

enum {
    BLOCK = 16
};

/* The sum of one output channel o of block b at pixel p. */
static float dot(const md_conv_span *s, int64_t b, int64_t p, int64_t o)
{
    const int64_t y = b * s->y_block + p * BLOCK + o;
    float sum = s->start ? s->start[y] : 0;

    for (int64_t xb = 0; xb < s->n_xb; xb++) {
        for (int64_t t = 0; t < s->n_taps; t++) {
            const float *w =
                s->w + b * s->w_out + xb * s->w_in + t * BLOCK * BLOCK + o;
            const float *x =
                s->x + (s->x_at + xb * s->x_block + s->taps[t] + p * BLOCK);

            for (int64_t i = 0; i < BLOCK; i++)
                sum += x[i] * w[i * BLOCK];
        }
    }
    if (s->bias)
        sum += s->bias[b * BLOCK + o];
    if (s->residual)
        sum += s->residual[y];
    return s->final ? md_act_apply(s->act, s->a, s->b, sum) : sum;
}

void md_conv_f32_span__ref(const md_conv_span *s)
{
    for (int64_t b = 0; b < s->n_yb; b++) {
        const int64_t lanes = b == s->n_yb - 1 ? s->last_lanes : BLOCK;

        for (int64_t p = 0; p < s->n_px; p++) {
            float *y = s->y + b * s->y_block + p * BLOCK;

            for (int64_t o = 0; o < BLOCK; o++)
                y[o] = o < lanes ? dot(s, b, p, o) : 0;
        }
    }
}
