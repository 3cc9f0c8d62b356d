/*
 * Float 2-D convolution with bf16 operands, group 1, NC16 -> NC16: what
 * gemm_bf16 is to gemm_f32.  x and y are floats, x[n][ic/16][ih][iw][16] and
 * y[n][oc/16][oh][ow][16]; x is rounded to bf16 while a chunk's window is
 * copied, sums are tiles of gemm_bf16 with its errors.
 *
 * Lanes that fill the last block of channels up are zero in x and are stored
 * as zero in y.
 */
#ifndef MD_KERNELS_CONV_BF16_H
#define MD_KERNELS_CONV_BF16_H

#include "kernels/conv_shape.h"
#include "kernels/gemm_bf16.h"

/* Everything is borrowed.  y must not overlap x; it may be the residual. */
typedef struct md_conv_bf16_args {
    const md_gemm_bf16_kernel *kernel;
    const md_cast_bf16_kernel *cast;
    const md_finish_f32_kernel *finish;
    md_conv_shape shape;
    const float *x;
    const uint16_t *w; /* packed */
    float *y;
    md_epilogue ep; /* bias per output channel; residual shaped as y */
} md_conv_bf16_args;

/* Products in the time of one of conv_f32 on the same CPU, in layers that are
 * worth comparing. */
double md_conv_bf16_speed(const md_gemm_bf16_kernel *kernel);

/* Bytes of the packed weights; false when they overflow.  Of the shape,
 * channels, window and dilation_w count here and below. */
bool md_conv_bf16_packed_size(size_t *out, const md_gemm_bf16_kernel *kernel,
                              const md_conv_shape *s);

/* Pack w[oc][ic][kh][kw]: blocks b0 .. b1 of 16 output channels to their
 * places in out. */
void md_conv_bf16_pack(uint16_t *out, const md_gemm_bf16_kernel *kernel,
                       const md_cast_bf16_kernel *cast, const float *w,
                       const md_conv_shape *s, int64_t b0, int64_t b1);

/* Independent pieces of work; any order, any thread. */
int64_t md_conv_bf16_n_chunks(const md_conv_bf16_args *c);

/* Bytes of scratch that one md_conv_bf16_run needs. */
size_t md_conv_bf16_scratch_size(const md_conv_bf16_args *c);

/* scratch: 64-byte aligned, one per thread. */
void md_conv_bf16_run(const md_conv_bf16_args *c, int64_t chunk, void *scratch);

#endif
