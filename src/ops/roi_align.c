/*
 * Average or maximum of samples of the features, taken between their elements
 * by linear interpolation, in a grid of bins over each region.
 *
 * The weights of a sample are a product of one for its row and one for its
 * column, and so are the sums of the weights that a bin's samples give to an
 * element: an average is pooled along rows first, then along columns, with
 * each element read once for a bin.  The maximum has to look at each sample.
 *
 * With many channels and regions the features are turned to have the channels
 * last, and each bin is a weighted sum, or maximum, of rows of them.
 */
#include <math.h>
#include <string.h>

#include "kernels/blend_f32.h"
#include "ops/common/channels.h"
#include "ops/common/roi.h"

enum {
    SAMPLES_MAX = 4096 /* of a bin along one axis, when told */
};

typedef struct settings {
    int64_t height, width; /* bins */
    int64_t n_samples;     /* of a bin along an axis; 0: by its size */
    double scale;
    bool maximum, half_pixel;
} settings;

static md_status read_attributes(settings *s, const md_node *n, int64_t opset,
                                 md_error *err)
{
    const char *mode = md_node_attr_s(n, "mode", "avg");
    const char *shift =
        md_node_attr_s(n, "coordinate_transformation_mode",
                       opset < 16 ? "output_half_pixel" : "half_pixel");

    *s = (settings){ .height = md_node_attr_i(n, "output_height", 1),
                     .width = md_node_attr_i(n, "output_width", 1),
                     .n_samples = md_node_attr_i(n, "sampling_ratio", 0),
                     .scale = md_node_attr_f(n, "spatial_scale", 1.0f),
                     .maximum = strcmp(mode, "max") == 0,
                     .half_pixel = strcmp(shift, "half_pixel") == 0 };
    if (!s->maximum && strcmp(mode, "avg") != 0)
        return md_fail(err, MD_INVALID, "mode is '%s', avg or max expected",
                       mode);
    if (!s->half_pixel && strcmp(shift, "output_half_pixel") != 0)
        return md_fail(err, MD_INVALID,
                       "coordinate_transformation_mode is '%s', half_pixel or "
                       "output_half_pixel expected",
                       shift);
    if (s->height < 1 || s->width < 1)
        return md_fail(err, MD_INVALID,
                       "output_height and output_width are %lld and %lld, at "
                       "least 1 expected",
                       (long long)s->height, (long long)s->width);
    if (s->n_samples < 0 || s->n_samples > SAMPLES_MAX)
        return md_fail(err, MD_INVALID,
                       "sampling_ratio is %lld, 0 to %d expected",
                       (long long)s->n_samples, SAMPLES_MAX);
    if (!isfinite(s->scale))
        return md_fail(err, MD_INVALID,
                       "spatial_scale is %g, a finite number expected",
                       s->scale);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    settings s;

    MD_TRY(read_attributes(&s, c->node, c->opset, err));
    MD_TRY(md_infer__need(c, 2, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 2, 1, 1, err));
    MD_TRY(md_roi__infer(c, 4, s.height, s.width, err));
    if (c->in[1]->has_rank && c->in[2]->has_rank)
        MD_TRY(md_infer__must_equal(c, c->in[2]->dim[0], c->in[1]->dim[0],
                                    "the length of batch_indices", err));
    return MD_OK;
}

/* --- one axis of a region ---------------------------------------------- */

/* A sample between elements lo and lo + 1 of an axis. */
typedef struct sample {
    int64_t lo, hi;
    double w_lo, w_hi;
    float n_lo, n_hi; /* the weights for float32 */
} sample;

/* The bins of a region along one axis. */
typedef struct axis {
    double start, bin; /* of bin 0; size of each */
    double n_samples;  /* of a bin: may be beyond any integer */
    int64_t n;         /* elements of the features */
} axis;

static axis axis_of(const settings *s, double from, double to, int64_t n_bins,
                    int64_t n)
{
    double shift = s->half_pixel ? 0.5 : 0.0;
    axis a = { .start = from * s->scale - shift, .n = n };
    double size = to * s->scale - shift - a.start;

    if (!s->half_pixel && size < 1.0)
        size = 1.0;
    a.bin = size / (double)n_bins;
    a.n_samples = s->n_samples > 0 ? (double)s->n_samples : ceil(a.bin);
    return a;
}

/* The samples of a bin that lie on the features, in [*from, *to): those
 * outside count as 0.  One more on each side, for take_sample to decide. */
static void find_samples(const axis *a, int64_t bin, int64_t *from, int64_t *to)
{
    double step = a->bin / a->n_samples;
    double first = a->start + (double)bin * a->bin + 0.5 * step;
    double lo = floor((-1.0 - first) / step) - 1.0;
    double hi = ceil(((double)a->n - first) / step) + 2.0;

    if (!(a->n_samples >= 1.0) || !(step > 0.0)) {
        /* A region without size has its samples in one place. */
        *from = 0;
        *to =
            a->n_samples >= 1.0 ? (int64_t)fmin(a->n_samples, SAMPLES_MAX) : 0;
        return;
    }
    /* Steps are at least 0.5 or the samples few; where lo and hi are too large
     * to tell elements apart, there is nothing to be found anyway. */
    *from = (int64_t)fmax(0.0, fmin(fmin(lo, a->n_samples), 0x1p62));
    *to = (int64_t)fmax(0.0, fmin(fmin(hi, a->n_samples), 0x1p62));
    *to = md_min_i64(*to, *from + 2 * a->n + SAMPLES_MAX);
}

/* False for one outside. */
static bool take_sample(const axis *a, int64_t bin, int64_t i, sample *out)
{
    double at = a->start + (double)bin * a->bin +
                ((double)i + 0.5) * a->bin / a->n_samples;

    if (!(at >= -1.0 && at <= (double)a->n))
        return false;
    at = at < 0.0 ? 0.0 : at;
    out->lo = (int64_t)at;
    if (out->lo >= a->n - 1) {
        *out = (sample){ .lo = a->n - 1, .hi = a->n - 1, .w_lo = 1.0 };
        return true;
    }
    out->hi = out->lo + 1;
    out->w_hi = at - (double)out->lo;
    out->w_lo = 1.0 - out->w_hi;
    return true;
}

/* --- averages ---------------------------------------------------------- */

/* Weights of the elements [from, to) in one bin. */
typedef struct span {
    int64_t from, to;
    const double *w;
    const float *narrow; /* the same for float32, of columns */
} span;

/* The spans of all bins of an axis; w and narrow: n elements for each bin, of
 * which those of w are 0. */
static void weigh(const axis *a, int64_t n_bins, span *out, double *w,
                  float *narrow)
{
    for (int64_t bin = 0; bin < n_bins; bin++, w += a->n, narrow += a->n) {
        span s = { .from = a->n };
        int64_t i, end;
        sample p;

        find_samples(a, bin, &i, &end);
        for (; i < end; i++) {
            if (!take_sample(a, bin, i, &p))
                continue;
            w[p.lo] += p.w_lo;
            w[p.hi] += p.w_hi;
            s.from = md_min_i64(s.from, p.lo);
            s.to = md_max_i64(s.to, p.hi + 1);
        }
        for (int64_t k = s.from; k < s.to; k++)
            narrow[k] = (float)w[k];
        s.w = w + s.from;
        s.narrow = narrow + s.from;
        out[bin] = s;
    }
}

typedef struct align {
    const md_tensor *x, *batch;
    md_tensor *out;
    const double *rois;
    settings s;
    int64_t channels, h, w;
    size_t scratch; /* doubles for each thread */
    double *buffers;
    /* The features with their channels last; NULL: a channel at a time. */
    const float *rows;
    int64_t looks;       /* most elements of a bin */
    int64_t *at;         /* [looks] of each thread, and their weights */
    float *w_at, *tiles; /* [bins, channels] of each thread */
    uint32_t cpu;
} align;

/* A row of the features, pooled by the bins of an axis; most bins are a few
 * elements wide. */
#define POOL(name, T, weights)                                                 \
    static void name(const T *x, const span *bins, int64_t n, double *out)     \
    {                                                                          \
        for (int64_t i = 0; i < n; i++) {                                      \
            const span *b = &bins[i];                                          \
            const T *v = x + b->from, *w = b->weights;                         \
            T sum = 0;                                                         \
                                                                               \
            for (int64_t k = 0; k < b->to - b->from; k++)                      \
                sum += w[k] * v[k];                                            \
            out[i] = (double)sum;                                              \
        }                                                                      \
    }
POOL(pool_f32, float, narrow)
POOL(pool_f64, double, w)

static void pool_row(const align *a, int64_t at, const span *bins, double *out,
                     double *row)
{
    if (a->x->dtype == MD_DTYPE_F32) {
        pool_f32((const float *)a->x->data + at, bins, a->s.width, out);
    } else if (a->x->dtype == MD_DTYPE_F64) {
        pool_f64((const double *)a->x->data + at, bins, a->s.width, out);
    } else {
        md_load_f64(row, a->x, at, a->w);
        pool_f64(row, bins, a->s.width, out);
    }
}

/* Memory of a thread, cut up. */
typedef struct parts {
    double *wy, *wx;     /* [height, h] and [width, w] */
    double *rows;        /* [h, width]: pooled along rows */
    double *row, *plane; /* [w]; [height * width] */
    span *y, *x;         /* [height], [width] */
    float *ny, *nx;      /* [height, h] and [width, w] */
} parts;

static parts cut(const align *a, double *at)
{
    parts p;

    p.wy = at;
    p.wx = p.wy + a->s.height * a->h;
    p.rows = p.wx + a->s.width * a->w;
    p.row = p.rows + a->h * a->s.width;
    p.plane = p.row + a->w;
    p.y = (span *)(p.plane + a->s.height * a->s.width);
    p.x = p.y + a->s.height;
    p.ny = (float *)(p.x + a->s.width);
    p.nx = p.ny + a->s.height * a->h;
    return p;
}

static void average_plane(const align *a, const parts *p, int64_t from,
                          int64_t to, int64_t base, double share)
{
    int64_t n = a->s.width;

    for (int64_t y = from; y < to; y++)
        pool_row(a, base + y * a->w, p->x, p->rows + y * n, p->row);
    for (int64_t i = 0; i < a->s.height; i++) {
        const span *b = &p->y[i];
        double *o = p->plane + i * n;

        for (int64_t k = 0; k < n; k++)
            o[k] = 0.0;
        for (int64_t y = b->from; y < b->to; y++) {
            const double *r = p->rows + y * n, w = b->w[y - b->from];

            for (int64_t k = 0; k < n; k++)
                o[k] += w * r[k];
        }
        for (int64_t k = 0; k < n; k++)
            o[k] *= share;
    }
}

static void average_region(const align *a, int64_t r, const axis *y,
                           const axis *x, int64_t base, double *memory)
{
    int64_t n = a->s.height * a->s.width, from = a->h, to = 0;
    double count = y->n_samples * x->n_samples;
    parts p = cut(a, memory);

    memset(p.wy, 0, (size_t)((char *)p.rows - (char *)p.wy));
    weigh(y, a->s.height, p.y, p.wy, p.ny);
    weigh(x, a->s.width, p.x, p.wx, p.nx);
    for (int64_t i = 0; i < a->s.height; i++) {
        from = md_min_i64(from, p.y[i].from);
        to = md_max_i64(to, p.y[i].to);
    }
    for (int64_t c = 0; c < a->channels; c++) {
        average_plane(a, &p, from, to, base + c * a->h * a->w,
                      count >= 1.0 ? 1.0 / count : 0.0);
        md_store_f64(a->out, (r * a->channels + c) * n, p.plane, n);
    }
}

/* --- maxima ------------------------------------------------------------ */

/* The samples of all bins of an axis, n_max places for each. */
typedef struct samples {
    int64_t n_max;
    sample *s;       /* [bins, n_max] */
    int64_t *n;      /* [bins]: those on the features */
    double n_wanted; /* of each bin, on the features or not */
} samples;

/* No bin has more on the features: steps are at least 0.5, or it is told. */
static int64_t most_samples(const settings *s, int64_t n)
{
    return s->n_samples > 0 ? s->n_samples : 2 * n + 8;
}

static void take_samples(const axis *a, int64_t n_bins, samples *out)
{
    out->n_wanted = a->n_samples;
    for (int64_t bin = 0; bin < n_bins; bin++) {
        sample *to = out->s + bin * out->n_max;
        int64_t i, end, n = 0;

        find_samples(a, bin, &i, &end);
        for (; i < end && n < out->n_max; i++) {
            if (!take_sample(a, bin, i, &to[n]))
                continue;
            to[n].n_lo = (float)to[n].w_lo;
            to[n].n_hi = (float)to[n].w_hi;
            n++;
        }
        out->n[bin] = n;
    }
}

/* The largest of the four parts of each sample of a bin: the standard's
 * reference has it so.  NaN wins; it is looked for where a sum is one, which
 * saves four comparisons a sample. */
#define LARGEST(name, T, lower, upper)                                         \
    static double name(const T *in, int64_t w, const sample *y, int64_t n_y,   \
                       const sample *x, int64_t n_x)                           \
    {                                                                          \
        T max = -(T)INFINITY;                                                  \
        bool any_nan = false;                                                  \
                                                                               \
        for (int64_t i = 0; i < n_y; i++) {                                    \
            const T *lo = in + y[i].lo * w, *hi = in + y[i].hi * w;            \
            T y_lo = y[i].lower, y_hi = y[i].upper;                            \
                                                                               \
            for (int64_t k = 0; k < n_x; k++) {                                \
                T x_lo = x[k].lower, x_hi = x[k].upper, sum;                   \
                T a = y_lo * x_lo * lo[x[k].lo],                               \
                  b = y_lo * x_hi * lo[x[k].hi];                               \
                T c = y_hi * x_lo * hi[x[k].lo],                               \
                  d = y_hi * x_hi * hi[x[k].hi];                               \
                                                                               \
                sum = a + b + c + d;                                           \
                if (sum != sum)                                                \
                    any_nan |= isnan(a) || isnan(b) || isnan(c) || isnan(d);   \
                a = a > b ? a : b;                                             \
                c = c > d ? c : d;                                             \
                a = a > c ? a : c;                                             \
                max = a > max ? a : max;                                       \
            }                                                                  \
        }                                                                      \
        return any_nan ? (double)NAN : (double)max;                            \
    }
LARGEST(largest_f32, float, n_lo, n_hi)
LARGEST(largest_f64, double, w_lo, w_hi)

/* Samples beyond the features are 0, and so is a bin without any. */
static double with_outside(double max, int64_t n_inside, double n_wanted)
{
    if ((double)n_inside < n_wanted && max < 0.0)
        return 0.0;
    return n_wanted >= 1.0 ? max : 0.0;
}

static void largest_plane(const align *a, int64_t base, int64_t to,
                          const samples *y, const samples *x, double *plane)
{
    const float *f = NULL;
    const double *d = plane;

    if (a->x->dtype == MD_DTYPE_F32)
        f = (const float *)a->x->data + base;
    else if (a->x->dtype == MD_DTYPE_F64)
        d = (const double *)a->x->data + base;
    else
        md_load_f64(plane, a->x, base, a->h * a->w);
    for (int64_t i = 0; i < a->s.height; i++) {
        const sample *sy = y->s + i * y->n_max;

        for (int64_t k = 0; k < a->s.width; k++) {
            const sample *sx = x->s + k * x->n_max;
            double v = f ? largest_f32(f, a->w, sy, y->n[i], sx, x->n[k])
                         : largest_f64(d, a->w, sy, y->n[i], sx, x->n[k]);
            double wanted = y->n_wanted >= 1.0 && x->n_wanted >= 1.0
                                ? y->n_wanted * x->n_wanted
                                : 0.0;

            v = with_outside(v, y->n[i] * x->n[k], wanted);
            if (f)
                ((float *)a->out->data)[to++] = (float)v;
            else
                md_store_f64(a->out, to++, &v, 1);
        }
    }
}

/* The samples of both axes in the memory of a thread; what is behind them. */
static double *lay_out(const align *a, double *memory, samples *y, samples *x)
{
    *y = (samples){ .n_max = most_samples(&a->s, a->h) };
    *x = (samples){ .n_max = most_samples(&a->s, a->w) };
    y->s = (sample *)memory;
    x->s = y->s + a->s.height * y->n_max;
    y->n = (int64_t *)(x->s + a->s.width * x->n_max);
    x->n = y->n + a->s.height;
    return (double *)(x->n + a->s.width);
}

static void largest_region(const align *a, int64_t r, const axis *y,
                           const axis *x, int64_t base, double *memory)
{
    int64_t n = a->s.height * a->s.width;
    samples sy, sx;
    double *plane = lay_out(a, memory, &sy, &sx);

    take_samples(y, a->s.height, &sy);
    take_samples(x, a->s.width, &sx);
    for (int64_t c = 0; c < a->channels; c++)
        largest_plane(a, base + c * a->h * a->w, (r * a->channels + c) * n, &sy,
                      &sx, plane);
}

/* --- all channels of a bin together ------------------------------------ */

/* What a thread works with. */
typedef struct bench {
    const float *x; /* [h, w, channels] */
    int64_t *at;
    float *w, *tile;
    int64_t n; /* looks of the bin at hand */
} bench;

static bench bench_of(const align *a, int64_t batch, int worker)
{
    return (bench){ .x = a->rows + batch * a->h * a->w * a->channels,
                    .at = a->at + worker * a->looks,
                    .w = a->w_at + worker * a->looks,
                    .tile = a->tiles +
                            worker * a->s.height * a->s.width * a->channels };
}

static void look(const align *a, bench *b, int64_t y, int64_t x, double w)
{
    b->at[b->n] = (y * a->w + x) * a->channels;
    b->w[b->n++] = (float)w;
}

/* A bin's looks into its row of the tile. */
static float *blend(const align *a, const bench *b, int64_t bin)
{
    float *y = b->tile + bin * a->channels;

    md_blend_f32_select(a->cpu)->run(
        &(md_blend_f32_args){ .y = y,
                              .x = b->x,
                              .at = b->at,
                              .w = b->w,
                              .places = 1,
                              .looks = b->n,
                              .stride = b->n,
                              .n = a->channels,
                              .y_stride = a->channels,
                              .maximum = a->s.maximum });
    return y;
}

static void average_bins(const align *a, const axis *y, const axis *x, bench *b,
                         double *memory)
{
    double count = y->n_samples * x->n_samples;
    double share = count >= 1.0 ? 1.0 / count : 0.0;
    parts p = cut(a, memory);

    memset(p.wy, 0, (size_t)((char *)p.rows - (char *)p.wy));
    weigh(y, a->s.height, p.y, p.wy, p.ny);
    weigh(x, a->s.width, p.x, p.wx, p.nx);
    for (int64_t bin = 0; bin < a->s.height * a->s.width; bin++) {
        const span *v = &p.y[bin / a->s.width], *h = &p.x[bin % a->s.width];

        b->n = 0;
        for (int64_t i = v->from; i < v->to; i++) {
            for (int64_t k = h->from; k < h->to; k++)
                look(a, b, i, k, v->w[i - v->from] * h->w[k - h->from] * share);
        }
        (void)blend(a, b, bin);
    }
}

static void add_sample(const align *a, bench *b, const sample *y,
                       const sample *x)
{
    look(a, b, y->lo, x->lo, y->w_lo * x->w_lo);
    look(a, b, y->lo, x->hi, y->w_lo * x->w_hi);
    look(a, b, y->hi, x->lo, y->w_hi * x->w_lo);
    look(a, b, y->hi, x->hi, y->w_hi * x->w_hi);
}

static void largest_bins(const align *a, const axis *y, const axis *x, bench *b,
                         double *memory)
{
    samples sy, sx;
    double wanted = y->n_samples * x->n_samples;

    lay_out(a, memory, &sy, &sx);
    take_samples(y, a->s.height, &sy);
    take_samples(x, a->s.width, &sx);
    for (int64_t bin = 0; bin < a->s.height * a->s.width; bin++) {
        const int64_t row = bin / a->s.width, column = bin % a->s.width;
        const int64_t n_y = sy.n[row], n_x = sx.n[column];
        float *v;

        b->n = 0;
        for (int64_t i = 0; i < n_y * n_x; i++)
            add_sample(a, b, &sy.s[row * sy.n_max + i / n_x],
                       &sx.s[column * sx.n_max + i % n_x]);
        v = blend(a, b, bin);
        for (int64_t c = 0; (double)(n_y * n_x) < wanted && c < a->channels;
             c++)
            v[c] = (float)with_outside(v[c], n_y * n_x, wanted);
    }
}

/* --- all regions ------------------------------------------------------- */

static void align_region(void *ctx, int64_t r, int worker)
{
    const align *a = ctx;
    const double *roi = a->rois + r * 4;
    int64_t batch = ((const int64_t *)a->batch->data)[r];
    int64_t base = batch * a->channels * a->h * a->w;
    axis x = axis_of(&a->s, roi[0], roi[2], a->s.width, a->w);
    axis y = axis_of(&a->s, roi[1], roi[3], a->s.height, a->h);

    if (a->rows) {
        const int64_t n = a->s.height * a->s.width;
        bench b = bench_of(a, batch, worker);

        (a->s.maximum ? largest_bins : average_bins)(
            a, &y, &x, &b, a->buffers + (size_t)worker * a->scratch);
        md_channels__first((float *)a->out->data + r * a->channels * n, n,
                           b.tile, n, a->channels, a->cpu);
        return;
    }
    if (a->s.maximum)
        largest_region(a, r, &y, &x, base,
                       a->buffers + (size_t)worker * a->scratch);
    else
        average_region(a, r, &y, &x, base,
                       a->buffers + (size_t)worker * a->scratch);
}

/* *sum += a * b; false on overflow. */
static bool add_product(int64_t *sum, int64_t a, int64_t b)
{
    int64_t n;

    return md_mul_i64(&n, a, b) && md_add_i64(sum, *sum, n);
}

/* Doubles that a thread needs, for averages or maxima; 0 when that overflows.
 * Samples and spans are whole numbers of doubles. */
static size_t scratch_of(const align *a)
{
    const int64_t a_sample = sizeof(sample) / sizeof(double);
    const int64_t a_span = sizeof(span) / sizeof(double);
    int64_t bins = a->s.height + a->s.width, n = a->h * a->w + bins;

    if (a->s.maximum)
        return add_product(&n, a->s.height * a_sample,
                           most_samples(&a->s, a->h)) &&
                       add_product(&n, a->s.width * a_sample,
                                   most_samples(&a->s, a->w))
                   ? (size_t)n
                   : 0;
    n = a->w;
    return add_product(&n, 2 * a->s.height, a->h) &&
                   add_product(&n, 2 * a->s.width, a->w) &&
                   add_product(&n, a->s.width, a->h) &&
                   add_product(&n, a->s.height, a->s.width) &&
                   add_product(&n, bins, a_span)
               ? (size_t)n
               : 0;
}

/* Put the channels last where that pays: there are some, and the regions read
 * about as much as there is.  Samples of maxima are looked at one by one, so
 * these are to be few. */
static md_status make_rows(align *a, const md_exec *x, md_arena *ar,
                           md_error *err)
{
    enum {
        SAMPLES_FEW = 32 /* of a bin along an axis */
    };
    const int64_t bins = a->s.height * a->s.width, plane = a->h * a->w;
    const int64_t width = md_pool_width(x->pool), n = a->out->shape.dim[0];
    const int64_t batch = a->x->shape.dim[0], few = a->s.n_samples;

    if (a->x->dtype != MD_DTYPE_F32 || a->channels < MD_CHANNELS_FEW ||
        4 * bins * n < plane * batch ||
        (a->s.maximum && (few < 1 || few > SAMPLES_FEW)))
        return MD_OK;
    a->looks = a->s.maximum ? 4 * few * few : plane;
    MD_TRY(md_exec__scratch(&a->at, ar, width * a->looks, sizeof(*a->at), err));
    MD_TRY(md_exec__scratch(&a->w_at, ar, width * a->looks, sizeof(*a->w_at),
                            err));
    MD_TRY(md_exec__scratch(&a->tiles, ar, width * bins,
                            (size_t)a->channels * sizeof(float), err));
    return md_channels__last(&a->rows, x, a->x->data, batch, a->channels, plane,
                             ar, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    align a = { .x = x->in[0],
                .batch = x->in[2],
                .out = out,
                .channels = in->dim[1],
                .h = in->dim[2],
                .w = in->dim[3],
                .cpu = x->cpu };
    int64_t n = out->shape.dim[0];
    double *rois;

    MD_TRY(read_attributes(&a.s, x->node, x->opset, err));
    for (int64_t r = 0; r < n; r++)
        MD_TRY(md_roi__check_batch(((const int64_t *)a.batch->data)[r], r,
                                   in->dim[0], err));
    if (a.h == 0 || a.w == 0)
        return md_fail(err, MD_INVALID, "the features have no elements");
    MD_TRY(md_roi__load(&rois, x->in[1], ar, err));
    a.rois = rois;
    a.scratch = scratch_of(&a);
    if (a.scratch == 0)
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_exec__scratch(&a.buffers, ar, md_pool_width(x->pool),
                            a.scratch * sizeof(double), err));
    MD_TRY(make_rows(&a, x, ar, err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, n, align_region, &a);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_roi_align = {
    .domain = "",
    .name = "RoiAlign",
    .since = 10,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
