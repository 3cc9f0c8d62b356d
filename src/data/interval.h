/*
 * How sure a measured figure is: intervals of 95 %, and tests of pairs.
 */
#ifndef MD_DATA_INTERVAL_H
#define MD_DATA_INTERVAL_H

#include "base/alloc.h"

typedef struct md_interval {
    double low, high;
} md_interval;

/* Of a share, k of n > 0 samples (E. Wilson, 1927). */
md_interval md_interval_share(int64_t k, int64_t n);

/*
 * McNemar's test of two models on the same samples (Q. McNemar, 1947): of
 * those on which just one is right, `b` are the first one's and `c` the
 * second one's.  Two-sided probabilities of what is at least as uneven, were
 * both equally good: exact, by the binomial distribution, and mid-p (M.
 * Fagerland, S. Lydersen, P. Laake, 2013), which counts half of what is just
 * as uneven.  1 when b + c is 0.
 */
void md_mcnemar(int64_t b, int64_t c, double *exact, double *mid);

/* Compute statistics of the samples, sample i counting weight[i] times. */
typedef void md_statistic_fn(void *ctx, const uint32_t *weight, double *out);

/* How often a set of n samples is drawn anew: 2000 times, less (down to 100)
 * where that would be more than some 10^8 draws. */
int64_t md_bootstrap_rounds(int64_t n);

/*
 * Intervals of n_out statistics by drawing n samples of n, with replacement,
 * md_bootstrap_rounds times: the percentiles 2.5 and 97.5 of what comes out
 * (B. Efron, 1979).  Equal for equal seeds.  Rounds in which a statistic is NaN
 * (not defined) do not count for it; without any its interval is NaN.
 */
md_status md_bootstrap(md_interval *out, int n_out, int64_t n,
                       md_statistic_fn *fn, void *ctx, uint64_t seed,
                       const md_alloc *alloc, md_error *err);

#endif
