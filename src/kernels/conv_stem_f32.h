/*
 * The first convolution of a network, fp32: few input channels in any layout
 * with element strides (NCHW, NHWC, a view) -> NC16.
 *
 * y[n][oc/16][oh][ow][16]; lanes beyond oc are stored as zero.  The
 * epilogue's residual is shaped as y and may be y; y must not overlap x or w.
 * Nothing outside the tensors is read.  Any ic works; from about eight on
 * conv_f32 on NC16 input is the faster one.
 */
#ifndef MD_KERNELS_CONV_STEM_F32_H
#define MD_KERNELS_CONV_STEM_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv_shape.h"
#include "kernels/conv_span.h"

typedef struct md_conv_stem_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    md_conv_span_fn *span;
} md_conv_stem_f32_kernel;

#define K(isa, need) md_conv_span_fn md_conv_stem_f32_span__##isa;
#include "kernels/conv_stem_f32.def"
#undef K

extern const md_conv_stem_f32_kernel
    md_conv_stem_f32_kernels[]; /* ends: span NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_conv_stem_f32_kernel *md_conv_stem_f32_select(uint32_t cpu_flags);

/* Bytes of the packed weights, the same for every row; false on overflow. */
bool md_conv_stem_f32_packed_size(size_t *out, const md_conv_shape *s);

/* w[oc][ic][kh][kw] into [oc block][kh][ic][kw][16 oc], zeros at the end. */
void md_conv_stem_f32_pack(float *dst, const float *w, const md_conv_shape *s);

typedef struct md_conv_stem_f32_args {
    md_conv_shape shape;
    const float *x;
    int64_t x_stride[4]; /* elements: n, c, h, w; may be negative */
    const float *w;      /* packed */
    float *y;
    md_epilogue ep; /* bias per output channel */
} md_conv_stem_f32_args;

/* How the work is cut: a chunk is some output rows of one image. */
typedef struct md_conv_stem_f32_grid {
    int64_t row_step, row_parts;
    int64_t n_chunks;
    size_t scratch_size; /* bytes that a chunk needs */
} md_conv_stem_f32_grid;

/* Cut for this number of threads; false when the scratch size overflows. */
bool md_conv_stem_f32_split(md_conv_stem_f32_grid *out, const md_conv_shape *s,
                            int threads);

/* Compute one chunk, 0 <= chunk < n_chunks; any order, any thread.  scratch:
 * scratch_size bytes, 64-byte aligned, one per thread. */
void md_conv_stem_f32_run(const md_conv_stem_f32_kernel *kernel,
                          const md_conv_stem_f32_args *c,
                          const md_conv_stem_f32_grid *grid, int64_t chunk,
                          void *scratch);

#endif
