/*
 * The transforms of Winograd's minimal filtering F(m x m, 3 x 3) in fp32, for
 * pixels of 16 channels:
 *
 *   y = At [ sum over input channels of (G g Gt) (Bt d B) ] A
 *
 * d is a tile of m + 2 by m + 2 pixels, g a window of 3 x 3 weights, y the
 * m x m pixels that the windows in d give; products and sums in brackets are
 * element by element, so they are (m + 2)^2 products of matrices over the
 * channels, for which the caller has a kernel: m = 2 multiplies 2.25 times
 * less than the convolution itself, m = 4 4 times less.
 *
 * Points of interpolation: 0, +-1 and infinity for m = 2; 0, +-sqrt(1/2),
 * +-sqrt(2) and infinity for m = 4, which make a third of the error that the
 * usual 0, +-1, +-2 make: then the matrices that a value goes through amplify
 * it least.  (m = 6 has ten times the error of a plain sum with the best
 * points there are, and eight rows by eight more to store for a tile: not
 * here.)
 *
 * Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural
 * Networks, 2015; B. Barabasz et al., Error Analysis and Improving the
 * Accuracy of Winograd Convolution for Deep Neural Networks, 2020.
 */
#ifndef MD_KERNELS_WINOGRAD_F32_H
#define MD_KERNELS_WINOGRAD_F32_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    MD_WINOGRAD_TILES = 2, /* sizes of tiles that there are */
    MD_WINOGRAD_M_MAX = 4,
    MD_WINOGRAD_SIDE_MAX = MD_WINOGRAD_M_MAX + 2,
    MD_WINOGRAD_POINTS_MAX = MD_WINOGRAD_SIDE_MAX * MD_WINOGRAD_SIDE_MAX
};

/* v[e * v_step] = (Bt d B)[e], 16 floats each: rows of d are x_row floats
 * apart, pixels 16. */
typedef void md_winograd_f32_in_fn(float *v, int64_t v_step, const float *x,
                                   int64_t x_row);

/*
 * y = At s A + bias, from s[e] = sum[e * sum_step], to m rows, y_row floats
 * apart, of m pixels.  False when a sum of 16 lanes is not finite: the pixels
 * are then of no use, since one infinity or NaN in d spoils all of a tile.
 */
typedef bool md_winograd_f32_out_fn(float *y, int64_t y_row, const float *sum,
                                    int64_t sum_step, const float *bias);

/* u[e * u_step + i] = (G g Gt)[e] rounded once, for 256 windows: g[9][256]. */
typedef void md_winograd_f32_weights_fn(float *u, int64_t u_step,
                                        const float *g);

typedef struct md_winograd_f32_tile {
    const char *name; /* of the row, with the size of the tile */
    int m;
    md_winograd_f32_in_fn *in;
    md_winograd_f32_out_fn *out;
    md_winograd_f32_weights_fn *weights;
} md_winograd_f32_tile;

/* in_m, out_m and weights_m of a tile, from transform_in, _out and _weights,
 * which take m last: inlined, each loop knows its length. */
#define MD_WINOGRAD_F32_TILE(m)                                                \
    static void in_##m(float *v, int64_t v_step, const float *x,               \
                       int64_t x_row)                                          \
    {                                                                          \
        transform_in(v, v_step, x, x_row, m);                                  \
    }                                                                          \
    static bool out_##m(float *y, int64_t y_row, const float *sum,             \
                        int64_t sum_step, const float *bias)                   \
    {                                                                          \
        return transform_out(y, y_row, sum, sum_step, bias, m);                \
    }                                                                          \
    static void weights_##m(float *u, int64_t u_step, const float *g)          \
    {                                                                          \
        transform_weights(u, u_step, g, m);                                    \
    }

typedef struct md_winograd_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    const md_winograd_f32_tile *tiles; /* [MD_WINOGRAD_TILES]: m = 2, 4 */
} md_winograd_f32_kernel;

#define K(isa, need)                                                           \
    extern const md_winograd_f32_tile                                          \
        md_winograd_f32_tiles__##isa[MD_WINOGRAD_TILES];
#include "kernels/winograd_f32.def"
#undef K

extern const md_winograd_f32_kernel
    md_winograd_f32_kernels[]; /* ends: tiles NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_winograd_f32_kernel *md_winograd_f32_select(uint32_t cpu_flags);

/*
 * The matrices: at[m][m + 2], bt[m + 2][m + 2], g[m + 2][3], rows one after
 * the other.  What the rows of the list compute, if in another order.
 */
typedef struct md_winograd_f32_matrices {
    const float *at, *bt;
    const double *g;
} md_winograd_f32_matrices;

md_winograd_f32_matrices md_winograd_f32_of(int m);

/* The other way: g[9][256] from u[e * u_step + i], for the tile m, within a
 * few roundings of the largest weight of each window; what is less than 2^-20
 * of that is 0, as zeros were. */
void md_winograd_f32_recover(float *g, const float *u, int64_t u_step, int m);

#endif
