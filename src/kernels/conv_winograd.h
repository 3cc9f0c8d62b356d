/*
 * 2-D convolution of 3 x 3 windows, stride and dilation 1, group 1, by
 * Winograd's minimal filtering: tiles of pixels and windows go through the
 * transforms of winograd_f32, their products are conv_f32's 1 x 1 spans, one
 * for each point of a tile.  NC16 -> NC16 as conv_f32.h.
 *
 * Error.  Every number passes matrices that amplify it, so what counts is not
 * sum |x w| of one output but that of all windows in its tile.  With
 * S = sum over input channels of |At| ((|G| |g| |Gt|) (|Bt| |d| |B|)) |A|,
 * it is at most (channels / 8 + 96) * 2^-24 * S.  Where the pixels of a tile
 * are about as large as each other, that is at most 1 (2 x 2) and 3 (4 x 4)
 * times the error of a plain float sum, in the mean and at its largest; beside
 * a pixel that is 1000 times as large as the others, 1000 times as much.
 *
 * A tile with a sum that is not finite is done again without the transforms,
 * so that Inf and NaN reach the outputs whose window they are in, and only
 * these; a weight of less than 2^-20 of the largest in its window counts as
 * zero there.  So weights must be finite, md_conv_winograd_takes says which.
 */
#ifndef MD_KERNELS_CONV_WINOGRAD_H
#define MD_KERNELS_CONV_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv_f32.h"
#include "kernels/finish_f32.h"
#include "kernels/winograd_f32.h"

/* Whether n weights can be transformed: finite, and far from overflow. */
bool md_conv_winograd_takes(const float *w, int64_t n);

/*
 * The tile that is fastest for this shape: an index of
 * md_winograd_f32_kernel.tiles, or -1 where the direct kernel is, which makes
 * `speed` products in the time of one of conv_f32.  A rule, no measurement: the
 * same for the same shape on every run of every machine.  n, oh and ow may be
 * 0: not known.
 */
int md_conv_winograd_choose(const md_conv_shape *s, double speed);

/* What computes: one row of each family. */
typedef struct md_conv_winograd {
    const md_winograd_f32_tile *tile;
    const md_conv_f32_kernel *dense;
    const md_finish_f32_kernel *finish;
} md_conv_winograd;

/* The rows for these flags, with tile 0 .. MD_WINOGRAD_TILES - 1. */
md_conv_winograd md_conv_winograd_select(uint32_t cpu_flags, int tile);

/* Bytes of the packed weights; false on overflow. */
bool md_conv_winograd_packed_size(size_t *out, const md_conv_winograd *k,
                                  const md_conv_shape *s);

/*
 * Blocks b0 .. b1 of 16 output channels of w[oc][ic][3][3] to their places in
 * dst, in the order in which they are read: [group][point][oc block][ic block]
 * [16 ic][16 oc], filled up with zeros; a group is as many blocks as k->dense
 * likes in a span, the last one may have fewer.
 */
void md_conv_winograd_pack(float *dst, const md_conv_winograd *k,
                           const float *w, const md_conv_shape *s, int64_t b0,
                           int64_t b1);

/* Everything is borrowed.  y must not overlap x or w; it may be the
 * residual. */
typedef struct md_conv_winograd_args {
    md_conv_winograd k;
    md_conv_shape shape;
    const float *x;
    const float *w; /* packed for the tile */
    float *y;
    md_epilogue ep; /* bias per output channel; residual shaped as y */
} md_conv_winograd_args;

/* How the work is cut: a chunk is some tiles, of all images, and some blocks
 * of output channels.  Which does not show in the results. */
typedef struct md_conv_winograd_grid {
    int64_t n_th, n_tw;         /* tiles of an image */
    int64_t tile_step, oc_step; /* tiles and blocks of a chunk */
    int64_t tile_parts, oc_parts;
    int64_t n_chunks;
    size_t scratch_size; /* bytes that a chunk needs */
} md_conv_winograd_grid;

/* Cut for this number of threads; false when the scratch size overflows. */
bool md_conv_winograd_split(md_conv_winograd_grid *out,
                            const md_conv_winograd_args *c, int threads);

/* Compute one chunk, 0 <= chunk < n_chunks; any order, any thread.  scratch:
 * scratch_size bytes, 64-byte aligned, one per thread. */
void md_conv_winograd_run(const md_conv_winograd_args *c,
                          const md_conv_winograd_grid *grid, int64_t chunk,
                          void *scratch);

#endif
