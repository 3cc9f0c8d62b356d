/*
 * Depthwise 2-D convolution, fp32, NC16 -> NC16: every channel has its own
 * kh x kw window; shape.ic == shape.oc.
 *
 * Lanes that fill the last block of channels up are zero in x and are stored
 * as zero in y, whatever the activation.  The epilogue's residual is shaped
 * as y and may be y; y must not overlap x or w.  Nothing outside the tensors
 * is read; no scratch is needed.
 */
#ifndef MD_KERNELS_DWCONV_F32_H
#define MD_KERNELS_DWCONV_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv_shape.h"
#include "kernels/epilogue.h"

/* One output row of one block of channels. */
typedef struct md_dwconv_f32_row {
    const float *x; /* image row of the window's first row inside, column 0 */
    int64_t x_row;  /* floats from one row of the window to the next */
    int64_t n_ky;   /* rows of the window inside the image */
    const float *w; /* [n_ky][kw][16] */
    int64_t kw, stride, dilation, pad_left;
    int64_t iw, ow;
    float *y;
    const float *residual, *bias; /* as y; [16]; NULL: none */
    int lanes;                    /* channels that exist; others become zero */
    md_act act;
    float a, b;
} md_dwconv_f32_row;

typedef void md_dwconv_f32_fn(const md_dwconv_f32_row *r);

typedef struct md_dwconv_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    md_dwconv_f32_fn *row;
} md_dwconv_f32_kernel;

#define K(isa, need) md_dwconv_f32_fn md_dwconv_f32_row__##isa;
#include "kernels/dwconv_f32.def"
#undef K

extern const md_dwconv_f32_kernel md_dwconv_f32_kernels[]; /* ends: row NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_dwconv_f32_kernel *md_dwconv_f32_select(uint32_t cpu_flags);

/* Bytes of the packed weights, the same for every row; false on overflow. */
bool md_dwconv_f32_packed_size(size_t *out, const md_conv_shape *s);

/* w[c][1][kh][kw] into [c block][kh][kw][16], zeros at the end. */
void md_dwconv_f32_pack(float *dst, const float *w, const md_conv_shape *s);

typedef struct md_dwconv_f32_args {
    md_conv_shape shape;
    const float *x;
    const float *w; /* packed */
    float *y;
    md_epilogue ep; /* bias per channel */
} md_dwconv_f32_args;

/* How many chunks to cut into for this number of threads: one image block
 * each, or parts of its rows when blocks are few; 0 for empty tensors. */
int64_t md_dwconv_f32_n_chunks(const md_conv_shape *s, int threads);

/* Compute chunk `chunk` of n_chunks, a number that n_chunks gave for the
 * shape; any order, any thread. */
void md_dwconv_f32_run(const md_dwconv_f32_kernel *kernel,
                       const md_dwconv_f32_args *c, int64_t chunk,
                       int64_t n_chunks);

/* Where interior pixels of a row begin and end: all kw taps are inside. */
void md_dwconv_f32__interior(const md_dwconv_f32_row *r, int64_t *ox0,
                             int64_t *ox1);

/* Taps [*kx0, *kx1) of output column ox lie inside the image. */
void md_dwconv_f32__inside(const md_dwconv_f32_row *r, int64_t ox, int64_t *kx0,
                           int64_t *kx1);

#endif
