/*
 * Windows of a row-major image as columns of a matrix, so that a convolution
 * becomes a product: row (channel, tap), column (output position).
 *
 * Where window t of axis a meets output position j the input position is
 * j * stride + offset[t]; outside the input there are zeros.
 */
#ifndef MD_OPS_LOWER_UNFOLD_H
#define MD_OPS_LOWER_UNFOLD_H

#include "ops/common/window.h"

typedef struct md_unfold_axis {
    int64_t in, out; /* positions; in >= 0, out > 0 */
    int64_t stride;
    int64_t n_taps; /* 0: the matrix has no row, but for the ones */
    const int64_t *offset;
} md_unfold_axis;

typedef struct md_unfold {
    md_unfold_axis axis[MD_SPATIAL_MAX];
    int64_t n_channels;
    bool has_ones; /* a last row of ones, which meets a bias */
} md_unfold;

/* Rows of the matrix, and columns. */
int64_t md_unfold_k(const md_unfold *u);
int64_t md_unfold_n(const md_unfold *u);

/* Columns n0 .. n1 as the whole right side of a gemm_f32 with panels of nr:
 * floats for md_round_up(n1 - n0, 16) columns.  x holds the channels. */
void md_unfold_pack(float *dst, const md_unfold *u, const float *x, int64_t n0,
                    int64_t n1, int64_t nr);

/* Columns of the blocks in which a product with n of them is done, `k` rows on
 * the right and `m` on the left: whole panels of nr, of whose columns the cache
 * holds `rows` floats, large enough to be handed over, and as many blocks as
 * `parts` where there are. */
int64_t md_unfold_step(int64_t n, int64_t rows, int64_t k, int64_t m,
                       int64_t nr, int64_t parts);

#endif
