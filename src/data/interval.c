#include "data/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/size.h"

#define Z95 1.959963984540054 /* of the normal distribution: 97.5 % below */

md_interval md_interval_share(int64_t k, int64_t n)
{
    const double m = (double)n, p = (double)k / m, zz = Z95 * Z95;
    const double middle = (p + zz / (2.0 * m)) / (1.0 + zz / m);
    const double half =
        Z95 / (1.0 + zz / m) * sqrt(p * (1.0 - p) / m + zz / (4.0 * m * m));

    return (md_interval){ k == 0 ? 0.0 : middle - half,
                          k == n ? 1.0 : middle + half };
}

/* log of n over k, times 2^-n. */
static double log_binomial(double n, double k)
{
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) -
           n * 0.69314718055994531;
}

void md_mcnemar(int64_t b, int64_t c, double *exact, double *mid)
{
    const int64_t n = b + c, few = md_min_i64(b, c);
    double below = 0.0, same;

    *exact = *mid = 1.0;
    if (n == 0)
        return;
    for (int64_t i = 0; i < few; i++)
        below += exp(log_binomial((double)n, (double)i));
    same = exp(log_binomial((double)n, (double)few));
    *exact = fmin(1.0, 2.0 * (below + same));
    *mid = b == c ? 1.0 - 0.5 * same : fmin(1.0, 2.0 * below + same);
}

enum {
    ROUNDS = 2000,
    ROUNDS_MIN = 100,
    DRAWS_MAX = 100000000
};

int64_t md_bootstrap_rounds(int64_t n)
{
    return md_max_i64(ROUNDS_MIN,
                      md_min_i64(ROUNDS, DRAWS_MAX / md_max_i64(n, 1)));
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* v holds n values; NaN go. */
static md_interval percentiles(double *v, int64_t n)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++) {
        if (!isnan(v[i]))
            v[kept++] = v[i];
    }
    if (kept == 0)
        return (md_interval){ NAN, NAN };
    qsort(v, (size_t)kept, sizeof(*v), by_value);
    return (md_interval){ v[(int64_t)(0.025 * (double)(kept - 1) + 0.5)],
                          v[(int64_t)(0.975 * (double)(kept - 1) + 0.5)] };
}

static void draw(uint32_t *weight, int64_t n, uint64_t seed, int64_t round)
{
    md_rng r = md_rng_make(seed, (uint64_t)round);

    memset(weight, 0, (size_t)n * sizeof(*weight));
    for (int64_t i = 0; i < n; i++)
        weight[md_rng_below(&r, (uint64_t)n)]++;
}

md_status md_bootstrap(md_interval *out, int n_out, int64_t n,
                       md_statistic_fn *fn, void *ctx, uint64_t seed,
                       const md_alloc *alloc, md_error *err)
{
    const int64_t rounds = md_bootstrap_rounds(n);
    const size_t one = (size_t)n_out;
    uint32_t *weight = md_calloc(alloc, (size_t)n + 1, sizeof(*weight));
    double *values =
        md_calloc(alloc, ((size_t)rounds + 1) * one, sizeof(*values));
    double *now;
    md_status s = MD_OK;

    if (!weight || !values) {
        s = md_fail_nomem(err, (size_t)n * sizeof(*weight));
        goto out;
    }
    now = values + (size_t)rounds * one; /* one behind the others */
    for (int64_t i = 0; i < rounds; i++) {
        draw(weight, n, seed, i);
        fn(ctx, weight, now);
        for (int k = 0; k < n_out; k++)
            values[(int64_t)k * rounds + i] = now[k];
    }
    for (int k = 0; k < n_out; k++)
        out[k] = percentiles(values + (int64_t)k * rounds, rounds);
out:
    md_free(alloc, weight);
    md_free(alloc, values);
    return s;
}
