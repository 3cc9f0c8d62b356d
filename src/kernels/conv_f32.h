/*
 * 2-D convolution, fp32, NC16 -> NC16: x[n][ic/16][ih][iw][16] and
 * y[n][oc/16][oh][ow][16].
 *
 * Lanes that fill the last block of channels up are zero in x and are stored
 * as zero in y, whatever the activation.  With groups > 1, ic / groups and
 * oc / groups are multiples of 16.  The epilogue's residual is shaped as y and
 * may be y; y must not overlap x or w.  Nothing outside the tensors is read.
 *
 * Error as a plain float sum: at most (terms / 8 + 64) * 2^-24 * sum |x w|.
 */
#ifndef MD_KERNELS_CONV_F32_H
#define MD_KERNELS_CONV_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv_shape.h"
#include "kernels/conv_span.h"

typedef struct md_conv_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    int n_yb;          /* blocks of output channels that it likes in a span */
    md_conv_span_fn *span;
} md_conv_f32_kernel;

#define K(isa, need, n_yb) md_conv_span_fn md_conv_f32_span__##isa;
#include "kernels/conv_f32.def"
#undef K

extern const md_conv_f32_kernel md_conv_f32_kernels[]; /* ends: span NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_conv_f32_kernel *md_conv_f32_select(uint32_t cpu_flags);

/* Bytes of the packed weights, the same for every row; false on overflow. */
bool md_conv_f32_packed_size(size_t *out, const md_conv_shape *s,
                             int64_t groups);

/* w[oc][ic / groups][kh][kw] into
 * [groups][oc block][ic block][kh][kw][16 ic][16 oc], filled up with zeros. */
void md_conv_f32_pack(float *dst, const float *w, const md_conv_shape *s,
                      int64_t groups);

/* One pair of blocks of it, n_ic x n_oc channels: [taps][16 ic][16 oc] from
 * w[oc * w_oc + ic * taps + tap].  Only for kernels/. */
void md_conv_f32__pack_pair(float *dst, const float *w, int64_t w_oc,
                            int64_t taps, int64_t n_ic, int64_t n_oc);

typedef struct md_conv_f32_args {
    md_conv_shape shape;
    int64_t groups;
    const float *x;
    const float *w; /* packed */
    float *y;
    md_epilogue ep; /* bias per output channel */
} md_conv_f32_args;

/* How the work is cut: a chunk is some rows of some blocks of output channels
 * of one group of one image. */
typedef struct md_conv_f32_grid {
    bool pointwise; /* 1 x 1: the pixels are one long row, cut in segments
                       that count as rows */
    bool direct;    /* windows are read from x; else from a copy */
    int64_t rows;   /* of the output (or segments) */
    int64_t row_step, oc_step; /* rows and blocks of a chunk */
    int64_t row_parts, oc_parts;
    int64_t n_chunks;
    size_t scratch_size; /* bytes that a chunk needs */
} md_conv_f32_grid;

/* Cut for this number of threads; false when the scratch size overflows. */
bool md_conv_f32_split(md_conv_f32_grid *out, const md_conv_f32_kernel *kernel,
                       const md_conv_shape *s, int64_t groups, int threads);

/* Compute one chunk, 0 <= chunk < n_chunks; any order, any thread.  scratch:
 * scratch_size bytes, 64-byte aligned, one per thread. */
void md_conv_f32_run(const md_conv_f32_kernel *kernel,
                     const md_conv_f32_args *c, const md_conv_f32_grid *grid,
                     int64_t chunk, void *scratch);

#endif
