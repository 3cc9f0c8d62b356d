/*
 * Second moments of what values hold, and the linear algebra on them: what
 * products lose by a change of their weights W is |(W - W') x|^2 = tr (W - W')
 * E[x x'] (W - W')'.
 */
#ifndef MD_OPTIMIZE_MOMENTS_H
#define MD_OPTIMIZE_MOMENTS_H

#include "train/runner.h"

/* E[x x'] * count of what a value holds along an axis, a constant 1 behind
 * it. */
typedef struct md_moments {
    const char *name; /* of the value */
    int axis;         /* negative: from the last one on */
    int64_t n;        /* of x, without the constant */
    double *h;        /* [n + 1, n + 1], of which the lower half is filled */
    double count;     /* places that were looked at, some in each execution */
} md_moments;

/* Fill h, which lies in `ar`, and count of m[0], ..., m[n - 1] over the samples
 * of the sweep. */
md_status md_moments_gather(md_moments *m, uint32_t n, const md_model *model,
                            const md_sweep *sweep, md_arena *ar, md_error *err);

/* L of A = L L', in the lower half of a, [n, n]; false when there is none. */
bool md_moments_factor(double *a, int64_t n);

/* out := A^-1 of a positive definite a, [n, n], whose lower half counts and is
 * used up; false when it is not. */
bool md_moments_invert(double *out, double *a, int64_t n);

#endif
