#include "ops/lower/unfold.h"

#include <string.h>

#include "base/size.h"

enum {
    LANES = 16,            /* gemm_f32 rounds the width of panels up to it */
    PANELS_SIZE = 1 << 18, /* bytes of a block's panels: they stay in L2 */
    BLOCK_MACS = 1 << 17   /* of the smallest block worth handing over */
};

static int64_t n_taps(const md_unfold *u)
{
    return u->axis[0].n_taps * u->axis[1].n_taps * u->axis[2].n_taps;
}

int64_t md_unfold_k(const md_unfold *u)
{
    return u->n_channels * n_taps(u) + u->has_ones;
}

int64_t md_unfold_n(const md_unfold *u)
{
    return u->axis[0].out * u->axis[1].out * u->axis[2].out;
}

/* A run of output positions along the last axis, and its place in a panel. */
typedef struct run {
    int64_t at[MD_SPATIAL_MAX]; /* output position */
    int64_t n;
    float *dst;
    int64_t width; /* of the panel */
} run;

/* One tap of a run in every channel: zeros where the window leaves the input
 * on the left, `inside` elements of x, zeros on the right. */
typedef struct tap {
    int64_t left, inside, right;
    const float *x; /* of the first element inside, in channel 0 */
    int64_t stride;
    int64_t plane; /* from channel to channel, in x */
    int64_t row;   /* the same in the panel */
} tap;

/* n elements; rows are short, and calling memcpy for each takes longer than what
 * it does.  Pieces of known size are moves; the last one may overlap. */
static inline void copy_row(float *to, const float *x, int64_t n)
{
    enum {
        WIDE = 16,
        NARROW = 4
    };

    if (n >= WIDE) {
        for (int64_t i = 0; i + WIDE <= n; i += WIDE)
            memcpy(to + i, x + i, WIDE * sizeof(*to));
        memcpy(to + n - WIDE, x + n - WIDE, WIDE * sizeof(*to));
        return;
    }
    if (n >= NARROW) {
        for (int64_t i = 0; i + NARROW <= n; i += NARROW)
            memcpy(to + i, x + i, NARROW * sizeof(*to));
        memcpy(to + n - NARROW, x + n - NARROW, NARROW * sizeof(*to));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = x[i];
}

/* n zeros: mostly none or one, for which a loop would call memset. */
static inline float *clear_few(float *to, int64_t n)
{
    if (n > 0)
        to[0] = 0;
    for (int64_t i = 1; i < n; i++)
        to[i] = 0;
    return to + n;
}

static void copy_tap(float *dst, const tap *t, int64_t n_channels)
{
    const float *x = t->x;

    for (int64_t c = 0; c < n_channels; c++, dst += t->row, x += t->plane) {
        float *to = clear_few(dst, t->left);

        if (t->stride == 1) {
            copy_row(to, x, t->inside);
        } else {
            for (int64_t i = 0; i < t->inside; i++)
                to[i] = x[i * t->stride];
        }
        (void)clear_few(to + t->inside, t->right);
    }
}

static void zero_tap(float *dst, const run *r, int64_t row, int64_t n_channels)
{
    for (int64_t c = 0; c < n_channels; c++, dst += row)
        memset(dst, 0, (size_t)r->n * sizeof(*dst));
}

/* Where the taps of the last axis leave the input. */
static void cut(tap *t, const md_unfold_axis *a, const run *r, int64_t offset)
{
    int64_t first = r->at[2] * a->stride + offset;
    int64_t last = first < a->in ? (a->in - 1 - first) / a->stride + 1 : 0;

    t->left = first < 0 ? (-first + a->stride - 1) / a->stride : 0;
    t->left = md_min_i64(t->left, r->n);
    last = md_max_i64(md_min_i64(last, r->n), t->left);
    t->inside = last - t->left;
    t->right = r->n - last;
}

static void unfold_run(const md_unfold *u, const float *x, const run *r)
{
    const md_unfold_axis *a = u->axis;
    const int64_t taps = n_taps(u);
    const int64_t row = taps * r->width;
    float *dst = r->dst;

    for (int64_t z = 0; z < a[0].n_taps; z++) {
        int64_t iz = r->at[0] * a[0].stride + a[0].offset[z];

        for (int64_t y = 0; y < a[1].n_taps; y++) {
            int64_t iy = r->at[1] * a[1].stride + a[1].offset[y];
            bool inside = iz >= 0 && iz < a[0].in && iy >= 0 && iy < a[1].in;

            for (int64_t w = 0; w < a[2].n_taps; w++, dst += r->width) {
                tap t = { .stride = a[2].stride,
                          .plane = a[0].in * a[1].in * a[2].in,
                          .row = row };

                if (inside)
                    cut(&t, &a[2], r, a[2].offset[w]);
                if (t.inside == 0) {
                    zero_tap(dst, r, row, u->n_channels);
                    continue;
                }
                t.x = x + (iz * a[1].in + iy) * a[2].in + a[2].offset[w] +
                      (r->at[2] + t.left) * a[2].stride;
                copy_tap(dst, &t, u->n_channels);
            }
        }
    }
    for (int64_t i = 0; u->has_ones && i < r->n; i++)
        r->dst[u->n_channels * row + i] = 1.0f;
}

/* The columns that fill a panel up. */
static void clear_rest(const md_unfold *u, float *panel, int64_t cols,
                       int64_t width)
{
    for (int64_t k = 0; k < md_unfold_k(u); k++) {
        for (int64_t j = cols; j < width; j++)
            panel[k * width + j] = 0;
    }
}

void md_unfold_pack(float *dst, const md_unfold *u, const float *x, int64_t n0,
                    int64_t n1, int64_t nr)
{
    const int64_t k = md_unfold_k(u);

    for (int64_t n = n0; n < n1; n += nr) {
        const int64_t cols = md_min_i64(nr, n1 - n);
        const int64_t width = (int64_t)md_round_up((size_t)cols, LANES);

        for (int64_t j = 0; j < cols;) {
            int64_t p = n + j;
            run r = { .at = { p / u->axis[2].out / u->axis[1].out,
                              p / u->axis[2].out % u->axis[1].out,
                              p % u->axis[2].out },
                      .dst = dst + j,
                      .width = width };

            r.n = md_min_i64(cols - j, u->axis[2].out - r.at[2]);
            unfold_run(u, x, &r);
            j += r.n;
        }
        if (cols < width)
            clear_rest(u, dst, cols, width);
        dst += width * k;
    }
}

int64_t md_unfold_step(int64_t n, int64_t rows, int64_t k, int64_t m,
                       int64_t nr, int64_t parts)
{
    const int64_t macs = md_max_i64(k, 1) * md_max_i64(m, 1); /* a column */
    int64_t panels = PANELS_SIZE / (nr * (int64_t)sizeof(float));

    panels = md_min_i64(panels / md_max_i64(rows, 1),
                        md_div_up(md_div_up(n, parts), nr));
    panels = md_max_i64(panels, md_div_up(BLOCK_MACS / macs, nr));
    return md_min_i64(md_max_i64(panels, 1), md_div_up(n, nr)) * nr;
}
