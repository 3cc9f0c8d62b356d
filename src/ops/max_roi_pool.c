/* The largest element in each bin of a grid over each region, whose corners
 * are rounded to whole elements and belong to it. */
#include <assert.h>
#include <math.h>

#include "ops/common/roi.h"
#include "tensor/float.h"

static md_status read_shape(const md_node *n, int64_t *height, int64_t *width,
                            md_error *err)
{
    md_ints v;

    MD_TRY(md_infer__attr_ints(n, "pooled_shape", &v, err));
    if (v.n != 2)
        return md_fail(err, MD_INVALID, "pooled_shape has %d sizes, 2 expected",
                       v.n);
    if (v.v[0] < 1 || v.v[1] < 1)
        return md_fail(err, MD_INVALID,
                       "pooled_shape is %lld, %lld, at least 1 expected",
                       (long long)v.v[0], (long long)v.v[1]);
    *height = v.v[0];
    *width = v.v[1];
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t height, width;

    MD_TRY(read_shape(c->node, &height, &width, err));
    return md_roi__infer(c, 5, height, width, err);
}

typedef struct pooling {
    const md_tensor *x;
    md_tensor *out;
    const double *rois;
    double scale;
    int64_t channels, h, w, height, width;
    int64_t *bins;  /* of each thread: from and to of rows, then columns */
    double *planes; /* one for each thread, for types that are converted */
} pooling;

/* Elements [*lo, *hi) of an axis of n for bin i of n_bins, where the region
 * goes from `from` to `to`. */
static void find_bin(double from, double to, int64_t i, int64_t n_bins,
                     int64_t n, int64_t *lo, int64_t *hi)
{
    double size = fmax(to - from + 1.0, 1.0) / (double)n_bins;
    double first = floor((double)i * size) + from;
    double last = ceil((double)(i + 1) * size) + from;

    *lo = (int64_t)fmin(fmax(first, 0.0), (double)n);
    *hi = (int64_t)fmin(fmax(last, 0.0), (double)n);
}

/* Of a part of a plane; 0 of none. */
#define LARGEST(name, T)                                                       \
    static double name(const T *in, int64_t w, const int64_t *y,               \
                       const int64_t *x)                                       \
    {                                                                          \
        T max = -(T)INFINITY;                                                  \
        int any_nan = 0; /* a branch would be taken by chance */               \
                                                                               \
        if (y[0] >= y[1] || x[0] >= x[1])                                      \
            return 0.0;                                                        \
        assert(in);                                                            \
        for (int64_t i = y[0]; i < y[1]; i++) {                                \
            const T *row = in + i * w;                                         \
                                                                               \
            for (int64_t k = x[0]; k < x[1]; k++) {                            \
                any_nan |= row[k] != row[k];                                   \
                max = row[k] > max ? row[k] : max;                             \
            }                                                                  \
        }                                                                      \
        return any_nan ? (double)NAN : (double)max;                            \
    }
LARGEST(largest_f32, float)
LARGEST(largest_f64, double)

/* One plane into one of bins; `plane` holds it where it is converted. */
static void pool_plane(const pooling *p, int64_t from, int64_t to,
                       const int64_t *y, const int64_t *x, double *plane)
{
    const float *f = NULL;
    const double *d = plane;

    if (p->x->dtype == MD_DTYPE_F32)
        f = (const float *)p->x->data + from;
    else if (p->x->dtype == MD_DTYPE_F64)
        d = (const double *)p->x->data + from;
    else
        md_load_f64(plane, p->x, from, p->h * p->w);
    for (int64_t i = 0; i < p->height; i++) {
        for (int64_t k = 0; k < p->width; k++) {
            double v = f ? largest_f32(f, p->w, y + 2 * i, x + 2 * k)
                         : largest_f64(d, p->w, y + 2 * i, x + 2 * k);

            if (f)
                ((float *)p->out->data)[to++] = (float)v;
            else
                md_store_f64(p->out, to++, &v, 1);
        }
    }
}

static void pool_region(void *ctx, int64_t r, int worker)
{
    const pooling *p = ctx;
    const double *roi = p->rois + r * 5;
    int64_t base = (int64_t)roi[0] * p->channels * p->h * p->w;
    int64_t to = r * p->channels * p->height * p->width;
    int64_t *y = p->bins + (int64_t)worker * 2 * (p->height + p->width);
    int64_t *x = y + 2 * p->height;
    double *plane = p->planes ? p->planes + worker * p->h * p->w : NULL;

    for (int64_t i = 0; i < p->height; i++)
        find_bin(round(roi[2] * p->scale), round(roi[4] * p->scale), i,
                 p->height, p->h, &y[2 * i], &y[2 * i + 1]);
    for (int64_t k = 0; k < p->width; k++)
        find_bin(round(roi[1] * p->scale), round(roi[3] * p->scale), k,
                 p->width, p->w, &x[2 * k], &x[2 * k + 1]);
    for (int64_t c = 0; c < p->channels; c++)
        pool_plane(p, base + c * p->h * p->w, to + c * p->height * p->width, y,
                   x, plane);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    pooling p = { .x = x->in[0],
                  .out = out,
                  .scale = md_node_attr_f(x->node, "spatial_scale", 1.0f),
                  .channels = in->dim[1],
                  .h = in->dim[2],
                  .w = in->dim[3] };
    int64_t n = out->shape.dim[0];
    double *rois;

    MD_TRY(read_shape(x->node, &p.height, &p.width, err));
    if (!isfinite(p.scale))
        return md_fail(err, MD_INVALID,
                       "spatial_scale is %g, a finite number expected",
                       p.scale);
    MD_TRY(md_roi__load(&rois, x->in[1], ar, err));
    for (int64_t r = 0; r < n; r++)
        MD_TRY(md_roi__check_batch(md_f64_to_i64(floor(rois[r * 5])), r,
                                   in->dim[0], err));
    p.rois = rois;
    MD_TRY(md_exec__scratch(
        &p.bins, ar, (int64_t)md_pool_width(x->pool) * 2 * (p.height + p.width),
        sizeof(*p.bins), err));
    if (out->dtype != MD_DTYPE_F32 && out->dtype != MD_DTYPE_F64)
        MD_TRY(md_exec__scratch(&p.planes, ar,
                                md_pool_width(x->pool) * p.h * p.w,
                                sizeof(*p.planes), err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, n, pool_region, &p);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_max_roi_pool = {
    .domain = "",
    .name = "MaxRoiPool",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
