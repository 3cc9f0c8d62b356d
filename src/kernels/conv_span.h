/*
 * The innermost contract of the float convolutions: one run of output pixels
 * of one image row, for a few blocks of 16 output channels.
 *
 *   sum[b][p][o] = sum over xb, tap, i of
 *                  x[x_at + xb x_block + tap + p step + i] *
 *                  w[b w_out + xb w_in + t 256 + i 16 + o]
 *
 * conv_f32 has step 16 and 16 channels i (NC16 pixels; 256 weights a tap);
 * conv_stem_f32 step 1 and one channel (planes; 16 weights a tap).  Only
 * kernels/ uses this: each family's driver cuts a convolution into spans, each
 * instruction set computes them.
 */
#ifndef MD_KERNELS_CONV_SPAN_H
#define MD_KERNELS_CONV_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/epilogue.h"

typedef struct md_conv_span {
    const float *x;
    int64_t x_at; /* added to every tap; x + x_at alone may be outside */
    int64_t x_block;
    int64_t n_xb;
    int64_t n_void; /* channels that the last of these blocks lacks: zeros in x
                     * and w, which may be left out */
    const int64_t *taps; /* floats */
    int64_t n_taps;
    const float *w;
    int64_t w_in, w_out;
    float *y;              /* pixel 0 of block 0; pixels are 16 floats apart */
    int64_t y_block;       /* floats from one block to the next */
    const float *start;    /* shaped as y: where sums begin; NULL: zero */
    const float *residual; /* shaped as y; NULL: none */
    const float *bias;     /* [n_yb * 16]; NULL: none */
    int64_t n_yb, n_px;
    int last_lanes;    /* channels that exist in the last block; the others of
                       its 16 are stored as zeros */
    const float *next; /* weights that are wanted after this span, which may
                        * bring them nearer; n_next floats, 0: none */
    int64_t n_next;
    bool final; /* sums are complete: activate them */
    md_act act;
    float a, b;
} md_conv_span;

typedef void md_conv_span_fn(const md_conv_span *s);

#endif
