/*
 * What the tests of winograd_f32 and conv_winograd share: the transforms in
 * double, with signs or without.  Without, they are bounds: what goes through
 * a matrix is off by at most a few roundings of the same product of
 * magnitudes.
 */
#ifndef MD_TESTS_KERNELS_WINOGRAD_CASE_H
#define MD_TESTS_KERNELS_WINOGRAD_CASE_H

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "kernels/winograd_f32.h"

enum {
    SIDE_MAX = MD_WINOGRAD_SIDE_MAX,
    POINTS_MAX = MD_WINOGRAD_POINTS_MAX
};

/* out[rows][rows] = t in Tt, of magnitudes if `sizes`; t[rows][cols]. */
static inline void both_ways(double *out, const double *t, int rows, int cols,
                             const double *in, bool sizes)
{
    double half[SIDE_MAX * SIDE_MAX] = { 0 };

    assert(rows > 0 && rows <= SIDE_MAX && cols > 0 && cols <= SIDE_MAX);
    for (int i = 0; i < rows * cols; i++) {
        for (int k = 0; k < cols; k++) {
            const double x = t[i / cols * cols + k] * in[k * cols + i % cols];

            half[i] += sizes ? fabs(x) : x;
        }
    }
    for (int i = 0; i < rows * rows; i++) {
        out[i] = 0;
        for (int k = 0; k < cols; k++) {
            const double x = half[i / rows * cols + k] * t[i % rows * cols + k];

            out[i] += sizes ? fabs(x) : x;
        }
    }
}

/* The same for a matrix of floats. */
static inline void both_ways_f32(double *out, const float *t, int rows,
                                 int cols, const double *in, bool sizes)
{
    double wide[SIDE_MAX * SIDE_MAX] = { 0 };

    for (int i = 0; i < rows * cols; i++)
        wide[i] = t[i];
    both_ways(out, wide, rows, cols, in, sizes);
}

static inline void oracle_in(double *v, int m, const double *d, bool sizes)
{
    both_ways_f32(v, md_winograd_f32_of(m).bt, m + 2, m + 2, d, sizes);
}

static inline void oracle_out(double *y, int m, const double *s, bool sizes)
{
    both_ways_f32(y, md_winograd_f32_of(m).at, m, m + 2, s, sizes);
}

static inline void oracle_weights(double *u, int m, const double *g, bool sizes)
{
    both_ways(u, md_winograd_f32_of(m).g, m + 2, 3, g, sizes);
}

#endif
