/* The largest element in each bin of a grid over each region, whose corners
 * are rounded to whole elements and belong to it. */
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

static double largest(const pooling *p, int64_t base, const int64_t *y,
                      const int64_t *x)
{
    bool any = y[0] < y[1] && x[0] < x[1];
    double max = any ? -INFINITY : 0.0, v[MD_CHUNK];

    for (int64_t i = y[0]; i < y[1]; i++) {
        for (int64_t k = x[0]; k < x[1]; k += MD_CHUNK) {
            int64_t n = md_min_i64(x[1] - k, MD_CHUNK);

            md_load_f64(v, p->x, base + i * p->w + k, n);
            for (int64_t j = 0; j < n; j++)
                max = v[j] > max || isnan(v[j]) ? v[j] : max;
        }
    }
    return max;
}

static void pool_region(void *ctx, int64_t r, int worker)
{
    const pooling *p = ctx;
    const double *roi = p->rois + r * 5;
    int64_t base = (int64_t)roi[0] * p->channels * p->h * p->w;
    int64_t to = r * p->channels * p->height * p->width, y[2], x[2];

    (void)worker;
    for (int64_t c = 0; c < p->channels; c++, base += p->h * p->w) {
        for (int64_t i = 0; i < p->height; i++) {
            find_bin(round(roi[2] * p->scale), round(roi[4] * p->scale), i,
                     p->height, p->h, &y[0], &y[1]);
            for (int64_t k = 0; k < p->width; k++) {
                double v;

                find_bin(round(roi[1] * p->scale), round(roi[3] * p->scale), k,
                         p->width, p->w, &x[0], &x[1]);
                v = largest(p, base, y, x);
                md_store_f64(p->out, to++, &v, 1);
            }
        }
    }
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
