/*
 * The driver of the matrix products over tiles of quads (gemm_s8, gemm_bf16):
 * cuts C, brings rows of A into quads where they are none, walks the tiles.
 * Only for kernels/.
 */
#ifndef MD_KERNELS_GEMM_DOT_H
#define MD_KERNELS_GEMM_DOT_H

#include <stddef.h>

#include "kernels/dot_tile.h"

/* Rows m0 .. m1 of A, each as k_size bytes; the fill meets zero weights. */
typedef void md_gemm_dot_copy_fn(const void *ctx, int64_t m0, int64_t m1,
                                 uint8_t *to);

/* Store the sums of a tile whose first is C[i][j]. */
typedef void md_gemm_dot_finish_fn(const void *ctx, const md_dot_tile *t,
                                   int64_t i, int64_t j);

typedef struct md_gemm_dot {
    const md_dot_kernel *kernel;
    int64_t m, n;
    int64_t k_size; /* bytes of a row of quads, md_gemm_dot__k_size */
    int64_t n_step; /* columns of a chunk; a multiple of 32 */
    const uint8_t *a;
    int64_t a_stride;          /* bytes */
    md_gemm_dot_copy_fn *copy; /* NULL: tiles read A itself */
    const int8_t *b;           /* [n/16][k_size/4][16][4] */
    const void *start;         /* sums to begin with, [n up to 16]; NULL: 0 */
    md_gemm_dot_finish_fn *finish;
    const void *ctx;
} md_gemm_dot;

/* `size` bytes rounded up to whole units of quads. */
int64_t md_gemm_dot__k_size(const md_dot_kernel *kernel, int64_t size);

int64_t md_gemm_dot__n_chunks(const md_gemm_dot *g);

/* How many chunks copy the same row of A, if they do. */
int64_t md_gemm_dot__n_copies(const md_gemm_dot *g);

size_t md_gemm_dot__scratch_size(const md_gemm_dot *g);
void md_gemm_dot__run(const md_gemm_dot *g, int64_t chunk, void *scratch);

#endif
