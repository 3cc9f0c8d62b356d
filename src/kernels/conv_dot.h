/*
 * The driver of the 2-D convolutions over tiles of quads (conv_s8, conv_bf16):
 * y[n][oc/16][oh][ow][16].  A tap of the kernel window is an offset into the
 * input; where tiles cannot read the input itself, the window of a chunk is
 * copied to scratch first.  Only for kernels/.
 */
#ifndef MD_KERNELS_CONV_DOT_H
#define MD_KERNELS_CONV_DOT_H

#include <stddef.h>

#include "kernels/conv_shape.h"
#include "kernels/dot_tile.h"

/* How the window of one output pixel is read: n_taps runs of n_quads * 4
 * bytes, through planes whose pixels have `pixel` bytes. */
typedef struct md_conv_dot_taps {
    int64_t planes, pixel;
    int64_t per_row; /* runs of a row of the window: 1, or kw if dilated */
    int64_t n_taps, n_quads;
} md_conv_dot_taps;

/* A chunk's part of the input. */
typedef struct md_conv_dot_window {
    const md_conv_shape *shape; /* of which ih and iw may be one row */
    const uint8_t *at;
    int64_t plane, row; /* strides in bytes */
    int64_t n;          /* image */
    int64_t y, x;       /* of the first pixel in the input; may be < 0 */
    int64_t h, w;
} md_conv_dot_window;

/* Write the window as to[planes][h][w][pixel]. */
typedef void md_conv_dot_copy_fn(const void *ctx, uint8_t *to,
                                 const md_conv_dot_window *v);

/* Where sums of a tile go: rows r0 .. r0 + n are pixels from `pixel` on, its
 * first block is b0. */
typedef struct md_conv_dot_place {
    int64_t image, b0, pixel;
    int64_t r0, n;
} md_conv_dot_place;

typedef void md_conv_dot_finish_fn(const void *ctx, const md_dot_tile *t,
                                   const md_conv_dot_place *at);

typedef struct md_conv_dot {
    const md_dot_kernel *kernel;
    md_conv_shape shape;
    md_conv_dot_taps taps;
    bool flat;                 /* a 1 x 1 of all pixels may be one row */
    md_conv_dot_copy_fn *copy; /* NULL: tiles read x itself */
    const uint8_t *x;          /* [n][planes][ih][iw][pixel]; if no copy */
    const int8_t *w;
    const void *start; /* sums to begin with, [oc up to 16]; NULL: 0 */
    md_conv_dot_finish_fn *finish;
    const void *ctx;
} md_conv_dot;

/* Taps for pixels of this many bytes.  Of the shape, the window and dilation_w
 * count. */
void md_conv_dot__taps(md_conv_dot_taps *out, const md_dot_kernel *kernel,
                       const md_conv_shape *s, int64_t planes, int64_t pixel);

/* Bytes of one output channel's packed weights. */
int64_t md_conv_dot__packed_k(const md_conv_dot_taps *t);

/* Bytes of all packed weights, [oc/16][taps][quads][16][4]. */
size_t md_conv_dot__packed_size(const md_conv_dot_taps *t, int64_t oc);

/* Where the weight of position j of the window for byte c of all pixels lies
 * in a packed column, less the 4 bytes from column to column. */
int64_t md_conv_dot__at(const md_conv_dot_taps *t, const md_conv_shape *s,
                        int64_t c, int64_t j);

/* Whether all pixels can be one row: 1 x 1, no stride, no padding. */
bool md_conv_dot__is_flat(const md_conv_shape *s);

int64_t md_conv_dot__n_chunks(const md_conv_dot *c);
size_t md_conv_dot__scratch_size(const md_conv_dot *c);
void md_conv_dot__run(const md_conv_dot *c, int64_t chunk, void *scratch);

#endif
