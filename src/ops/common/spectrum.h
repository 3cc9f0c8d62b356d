/*
 * Rows of signals to spectra and back: what DFT and STFT share.
 *
 * A task is a set of rows; each is read from a tensor into a row of complex
 * numbers, transformed, and written to another.  Two rows of real numbers are
 * transformed as one row of complex ones.
 */
#ifndef MD_OPS_COMMON_SPECTRUM_H
#define MD_OPS_COMMON_SPECTRUM_H

#include "ops/common/fft.h"
#include "ops/compose.h"

typedef struct md_spectrum {
    md_fft fft;
    const md_tensor *in; /* [..., 1 or 2] */
    md_tensor *out;      /* [..., 1 or 2] */
    int64_t n_rows;
    /* Row r begins at in_at(r) and has n_in numbers, in_step apart; those that
     * the transform has more are 0. */
    int64_t (*in_at)(const struct md_spectrum *s, int64_t r);
    int64_t (*out_at)(const struct md_spectrum *s, int64_t r);
    int64_t n_in, in_step, n_out, out_step;
    bool in_complex, out_complex;
    bool inverse;         /* divides by n */
    bool mirrored;        /* the input is one half of a symmetric spectrum */
    const double *window; /* [n_in] factors of the input, or NULL */
    /* What in_at and out_at need. */
    int64_t a, b, c, d;
} md_spectrum;

/* All rows, over the pool; s->fft is made here, of length n. */
md_status md_spectrum__run(md_spectrum *s, int64_t n, md_pool *pool,
                           md_arena *ar, md_error *err);

/* Input i as one whole number; *out stays when it is absent or not known.
 * MD_INVALID below 1. */
md_status md_spectrum__length(const md_infer *c, uint32_t i, const char *what,
                              int64_t *out, md_error *err);

/*
 * For com.microsoft's Rfft and Irfft: the attributes and input 0, behind whose
 * signal_ndim (*n) axes lie `pairs` more; its rank is left in *rank.
 */
md_status md_spectrum__check(md_compose *m, int pairs, int64_t *n, int *rank,
                             md_error *err);

/* *y [..., 1 or 2] transformed along an axis; onesided: half of it is kept. */
md_status md_spectrum__transform(md_compose *m, md_part *y, int64_t axis,
                                 bool inverse, bool onesided, md_error *err);

#endif
