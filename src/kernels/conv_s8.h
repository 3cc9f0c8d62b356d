/*
 * Integer 2-D convolution, group 1, into NC16: y[n][oc/16][oh][ow][16].
 *
 * The sums are tiles of gemm_s8 (a tap of the kernel window is an offset into
 * the input), so levels and exactness are those of gemm_s8.  Input is either
 * NC16 (x_block 16) or, for the first layer with at most 4 channels, any
 * layout with element strides (x_block 4).  The lanes of NC16 that fill the
 * last block up may hold anything: the weights there are zero.
 *
 * A kernel with a quad_unit above 1 (AMX) wants all channels of a pixel side
 * by side; the copy of a chunk's input, which it needs anyway, is made so.
 *
 * Pixels outside the input count as x_zero, that is as real zeros.
 */
#ifndef MD_KERNELS_CONV_S8_H
#define MD_KERNELS_CONV_S8_H

#include "kernels/conv_shape.h"
#include "kernels/gemm_s8.h"

/* Everything is borrowed.  y must not overlap x; res may be y. */
typedef struct md_conv_s8_args {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    md_conv_shape shape;
    const void *x;
    bool x_signed;
    int32_t x_zero;
    int x_block;          /* 16: NC16; 4: x_stride, ic <= 4 */
    int64_t x_stride[4];  /* elements: n, c, h, w; only for x_block 4 */
    const int8_t *w;      /* packed for x_block */
    const int32_t *start; /* [oc up to a multiple of 16] */
    void *y;              /* NC16, elements of rq.out */
    const void *res;      /* NC16 bytes shaped as y (Q8), or NULL */
    md_requant rq;
} md_conv_s8_args;

/* Bytes of one output channel's packed weights; md_gemm_s8_start's k_padded.
 * Of the shape, channels, window and dilation_w count here and below. */
int64_t md_conv_s8_packed_k(const md_gemm_s8_kernel *kernel,
                            const md_conv_shape *s, int x_block);

/* Bytes of all packed weights. */
size_t md_conv_s8_packed_size(const md_gemm_s8_kernel *kernel,
                              const md_conv_shape *s, int x_block);

/* Pack w[oc][ic][kh][kw]: blocks b0 .. b1 of 16 output channels to their
 * places in out. */
void md_conv_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const int8_t *w, const md_conv_shape *s, int x_block,
                     int64_t b0, int64_t b1);

/* Independent pieces of work; any order, any thread. */
int64_t md_conv_s8_n_chunks(const md_conv_s8_args *c);

/* Bytes of scratch that one md_conv_s8_run needs. */
size_t md_conv_s8_scratch_size(const md_conv_s8_args *c);

/* scratch: 64-byte aligned, one per thread. */
void md_conv_s8_run(const md_conv_s8_args *c, int64_t chunk, void *scratch);

#endif
