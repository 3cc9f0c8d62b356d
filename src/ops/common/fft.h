/*
 * Discrete Fourier transforms of any length in O(n log n), in double.
 *
 * Lengths of small prime factors are transformed factor by factor (Stockham's
 * order: no bit reversal); any other one by way of a convolution of such a
 * length (L. Bluestein, 1970).
 */
#ifndef MD_OPS_COMMON_FFT_H
#define MD_OPS_COMMON_FFT_H

#include "ops/common/util.h"

enum {
    MD_FFT_FACTORS = 64
};

typedef struct md_fft {
    int64_t n;
    int n_factors;
    int factor[MD_FFT_FACTORS];
    const double *cos, *sin; /* of 2 pi k / n, for all k below n */
    /* For lengths with a large prime factor, else NULL. */
    const struct md_fft *inner;          /* of the convolution */
    const double *chirp_re, *chirp_im;   /* [n]: exp(-i pi k^2 / n) */
    const double *filter_re, *filter_im; /* [inner->n]: its conjugate's
                                          * spectrum, divided by inner->n */
} md_fft;

/* The tables, in the arena; n is at least 1. */
md_status md_fft__plan(md_fft *out, int64_t n, md_arena *ar, md_error *err);

/* Doubles of scratch that a run needs. */
int64_t md_fft__scratch(const md_fft *f);

/* In place: x[k] becomes the sum over j of x[j] exp(-2 pi i j k / n).  With re
 * and im in each other's place: the inverse, without the division by n. */
void md_fft__run(const md_fft *f, double *re, double *im, double *scratch);

#endif
