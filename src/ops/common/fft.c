#include "ops/common/fft.h"

#include <math.h>
#include <string.h>

enum {
    FACTOR_MAX = 13 /* larger ones cost more here than by a convolution */
};

#define PI 3.14159265358979323846

/* --- tables ------------------------------------------------------------ */

/* cos and sin of 2 pi k / n for all k.  Of a multiple of 8 only the first
 * eighth is computed, where the angle is small and its rounding too. */
static void fill_circle(double *c, double *s, int64_t n)
{
    int64_t direct = n % 8 ? n / 2 : n / 8;

    for (int64_t k = 0; k <= direct; k++) {
        double angle = 2.0 * PI * (double)k / (double)n;

        c[k] = cos(angle);
        s[k] = sin(angle);
    }
    if (n % 8 == 0) {
        for (int64_t k = n / 8 + 1; k <= n / 4; k++) {
            c[k] = s[n / 4 - k];
            s[k] = c[n / 4 - k];
        }
        for (int64_t k = n / 4 + 1; k <= n / 2; k++) {
            c[k] = -c[n / 2 - k];
            s[k] = s[n / 2 - k];
        }
    }
    for (int64_t k = n / 2 + 1; k < n; k++) {
        c[k] = c[n - k];
        s[k] = -s[n - k];
    }
}

/* Factors of n, 4 before 2; what is left of it. */
static int64_t factorize(md_fft *f, int64_t n)
{
    static const int primes[] = { 4, 2, 3, 5, 7, 11, FACTOR_MAX };

    for (size_t i = 0; i < MD_COUNT(primes); i++) {
        for (; n % primes[i] == 0; n /= primes[i])
            f->factor[f->n_factors++] = primes[i];
    }
    return n;
}

static md_status plan_factors(md_fft *f, md_arena *ar, md_error *err)
{
    double *c, *s;

    MD_TRY(md_exec__scratch(&c, ar, f->n + 1, sizeof(*c), err));
    MD_TRY(md_exec__scratch(&s, ar, f->n + 1, sizeof(*s), err));
    fill_circle(c, s, f->n);
    f->cos = c;
    f->sin = s;
    return MD_OK;
}

/* The chirp of a length n: k^2 is taken modulo 2n, so that the angle stays
 * exact for every k. */
static void fill_chirp(double *re, double *im, int64_t n)
{
    int64_t square = 0;

    for (int64_t k = 0; k < n; k++) {
        double angle = PI * (double)square / (double)n;

        re[k] = cos(angle);
        im[k] = -sin(angle);
        square = (square + 2 * k + 1) % (2 * n);
    }
}

static md_status plan_convolution(md_fft *f, md_arena *ar, md_error *err)
{
    double *re, *im, *filter_re, *filter_im, *scratch;
    md_fft *inner;
    int64_t m = 1;

    if (f->n > INT32_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "a transform of %lld elements with a prime factor above "
                       "%d, at most %d are implemented",
                       (long long)f->n, FACTOR_MAX, INT32_MAX);
    while (m < 2 * f->n - 1)
        m *= 2;
    MD_TRY(md_exec__scratch(&inner, ar, 1, sizeof(*inner), err));
    MD_TRY(md_fft__plan(inner, m, ar, err));
    MD_TRY(md_exec__scratch(&re, ar, f->n, sizeof(*re), err));
    MD_TRY(md_exec__scratch(&im, ar, f->n, sizeof(*im), err));
    MD_TRY(md_exec__scratch(&filter_re, ar, m, sizeof(*re), err));
    MD_TRY(md_exec__scratch(&filter_im, ar, m, sizeof(*re), err));
    MD_TRY(md_exec__scratch(&scratch, ar, md_fft__scratch(inner),
                            sizeof(*scratch), err));
    fill_chirp(re, im, f->n);
    for (int64_t k = 0; k < f->n; k++) {
        int64_t mirror = (m - k) % m;

        filter_re[k] = filter_re[mirror] = re[k] / (double)m;
        filter_im[k] = filter_im[mirror] = -im[k] / (double)m;
    }
    md_fft__run(inner, filter_re, filter_im, scratch);
    f->inner = inner;
    f->chirp_re = re;
    f->chirp_im = im;
    f->filter_re = filter_re;
    f->filter_im = filter_im;
    return MD_OK;
}

md_status md_fft__plan(md_fft *out, int64_t n, md_arena *ar, md_error *err)
{
    md_fft f = { .n = n };

    if (factorize(&f, n) == 1)
        MD_TRY(plan_factors(&f, ar, err));
    else
        MD_TRY(plan_convolution(&f, ar, err));
    *out = f;
    return MD_OK;
}

int64_t md_fft__scratch(const md_fft *f)
{
    return f->inner ? 2 * f->inner->n + md_fft__scratch(f->inner) : 2 * f->n;
}

/* --- transforms -------------------------------------------------------- */

/*
 * One factor p: [p, m, s] becomes [m, p, s], where m * p * s = n.  Element
 * (q, k) of the p slices is transformed, and result j is turned by the angle
 * q * j / (m * p) of a circle, which is entry q * j * s of the tables.
 */
typedef struct pass {
    const double *cos, *sin;
    const double *re, *im; /* from */
    double *to_re, *to_im;
    int64_t n, m, s;
} pass;

/* Result j of the pass's item q, turned. */
#define GIVE(j, r, i)                                                          \
    do {                                                                       \
        int64_t at = k + t->s * (p * q + (j));                                 \
        double c = t->cos[q * (j)*t->s], w = t->sin[q * (j)*t->s];             \
                                                                               \
        t->to_re[at] = (r)*c + (i)*w;                                          \
        t->to_im[at] = (i)*c - (r)*w;                                          \
    } while (0)

#define TAKE(j, r, i)                                                          \
    double r = t->re[k + t->s * (q + t->m * (j))];                             \
    double i = t->im[k + t->s * (q + t->m * (j))]

static void pass_2(const pass *t)
{
    const int64_t p = 2;

    for (int64_t q = 0; q < t->m; q++) {
        for (int64_t k = 0; k < t->s; k++) {
            TAKE(0, ar, ai);
            TAKE(1, br, bi);

            GIVE(0, ar + br, ai + bi);
            GIVE(1, ar - br, ai - bi);
        }
    }
}

static void pass_4(const pass *t)
{
    const int64_t p = 4;

    for (int64_t q = 0; q < t->m; q++) {
        for (int64_t k = 0; k < t->s; k++) {
            TAKE(0, ar, ai);
            TAKE(1, br, bi);
            TAKE(2, cr, ci);
            TAKE(3, dr, di);
            double er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
            double gr = br + dr, gi = bi + di, hr = bi - di, hi = dr - br;

            GIVE(0, er + gr, ei + gi);
            GIVE(1, fr + hr, fi + hi);
            GIVE(2, er - gr, ei - gi);
            GIVE(3, fr - hr, fi - hi);
        }
    }
}

static void pass_3(const pass *t)
{
    const double half_root = 0.86602540378443864676; /* of 3 */
    const int64_t p = 3;

    for (int64_t q = 0; q < t->m; q++) {
        for (int64_t k = 0; k < t->s; k++) {
            TAKE(0, ar, ai);
            TAKE(1, br, bi);
            TAKE(2, cr, ci);
            double sr = br + cr, si = bi + ci;
            double er = ar - 0.5 * sr, ei = ai - 0.5 * si;
            double fr = half_root * (bi - ci), fi = half_root * (cr - br);

            GIVE(0, ar + sr, ai + si);
            GIVE(1, er + fr, ei + fi);
            GIVE(2, er - fr, ei - fi);
        }
    }
}

static void pass_any(const pass *t, int p)
{
    int64_t step = t->n / p; /* a p-th of the circle */
    double xr[FACTOR_MAX], xi[FACTOR_MAX];

    for (int64_t q = 0; q < t->m; q++) {
        for (int64_t k = 0; k < t->s; k++) {
            for (int j = 0; j < p; j++) {
                TAKE(j, r, i);
                xr[j] = r;
                xi[j] = i;
            }
            for (int j = 0; j < p; j++) {
                double r = xr[0], i = xi[0];

                for (int l = 1; l < p; l++) {
                    double c = t->cos[j * l % p * step];
                    double w = t->sin[j * l % p * step];

                    r += xr[l] * c + xi[l] * w;
                    i += xi[l] * c - xr[l] * w;
                }
                GIVE(j, r, i);
            }
        }
    }
}

static void run_factors(const md_fft *f, double *re, double *im,
                        double *scratch)
{
    pass t = { .cos = f->cos,
               .sin = f->sin,
               .re = re,
               .im = im,
               .to_re = scratch,
               .to_im = scratch + f->n,
               .n = f->n,
               .m = f->n,
               .s = 1 };
    size_t size = (size_t)f->n * sizeof(*re);

    for (int i = 0; i < f->n_factors; i++) {
        double *was_re = i % 2 ? scratch : re;
        double *was_im = i % 2 ? scratch + f->n : im;

        t.m /= f->factor[i];
        if (f->factor[i] == 4)
            pass_4(&t);
        else if (f->factor[i] == 2)
            pass_2(&t);
        else if (f->factor[i] == 3)
            pass_3(&t);
        else
            pass_any(&t, f->factor[i]);
        t.s *= f->factor[i];
        t.re = t.to_re;
        t.im = t.to_im;
        t.to_re = was_re;
        t.to_im = was_im;
    }
    if (f->n_factors % 2) {
        memcpy(re, scratch, size);
        memcpy(im, scratch + f->n, size);
    }
}

/* Element by element. */
static void multiply(double *re, double *im, const double *by_re,
                     const double *by_im, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double r = re[k] * by_re[k] - im[k] * by_im[k];

        im[k] = re[k] * by_im[k] + im[k] * by_re[k];
        re[k] = r;
    }
}

/* jk = (j^2 + k^2 - (k - j)^2) / 2 makes the transform a convolution with the
 * chirp's conjugate. */
static void run_convolution(const md_fft *f, double *re, double *im,
                            double *scratch)
{
    int64_t m = f->inner->n;
    double *a = scratch, *b = scratch + m, *rest = scratch + 2 * m;
    size_t size = (size_t)f->n * sizeof(*re);

    memset(a, 0, 2 * (size_t)m * sizeof(*a));
    memcpy(a, re, size);
    memcpy(b, im, size);
    multiply(a, b, f->chirp_re, f->chirp_im, f->n);
    md_fft__run(f->inner, a, b, rest);
    multiply(a, b, f->filter_re, f->filter_im, m);
    md_fft__run(f->inner, b, a, rest); /* the inverse */
    multiply(a, b, f->chirp_re, f->chirp_im, f->n);
    memcpy(re, a, size);
    memcpy(im, b, size);
}

void md_fft__run(const md_fft *f, double *re, double *im, double *scratch)
{
    if (f->inner)
        run_convolution(f, re, im, scratch);
    else
        run_factors(f, re, im, scratch);
}
