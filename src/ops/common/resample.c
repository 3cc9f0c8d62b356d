#include "ops/common/resample.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

md_status md_resample__size(int64_t *out, int64_t n, float scale, md_error *err)
{
    float size = floorf((float)n * scale);

    if (!(scale > 0.0f) || size > 0x1p40f)
        return md_fail(err, MD_INVALID, "scale %g of an axis of %lld",
                       (double)scale, (long long)n);
    *out = (int64_t)size;
    return MD_OK;
}

md_status md_resample__dim(const md_infer *c, md_dim *out, md_dim n,
                           float scale, md_error *err)
{
    int64_t size;

    if (md_dim_is_const(n)) {
        MD_TRY(md_resample__size(&size, n.k, scale, err));
        *out = MD_DIM(size);
        return MD_OK;
    }
    if (scale >= 1.0f && scale < 0x1p20f && scale == floorf(scale))
        return md_dim__affine(out, n, (int64_t)scale, 0, err);
    return md_infer__fresh(c, out, err);
}

/* The resized length before it was cut to a whole number, as the standard
 * takes it; a scale that was itself rounded does not count as a fraction. */
static double exact_size(double scale, double n, int64_t out)
{
    double exact = scale * n;

    return fabs(exact - (double)out) < 1e-5 * exact ? (double)out : exact;
}

/* Where output coordinate o of axis d lies in the input. */
static double coordinate(const md_resample *r, int d, int64_t o, int64_t in,
                         int64_t out)
{
    double scale = r->scale[d], x = (double)o, n = (double)in, span;

    switch (r->coordinates) {
    case MD_COORD_HALF_PIXEL_SYMMETRIC:
        span = 1.0 - (double)out / (scale * n);
        return n / 2.0 * span + (x + 0.5) / scale - 0.5;
    case MD_COORD_PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
    case MD_COORD_ALIGN_CORNERS:
        span = exact_size(scale, n, out) - 1.0;
        return out > 1 ? x * (n - 1.0) / span : 0.0;
    case MD_COORD_ASYMMETRIC:
        return x / scale;
    case MD_COORD_TF_CROP_AND_RESIZE:
        span = (r->end[d] - r->start[d]) * (n - 1.0);
        if (out > 1)
            return r->start[d] * (n - 1.0) + x * span / (double)(out - 1);
        return 0.5 * (r->start[d] + r->end[d]) * (n - 1.0);
    case MD_COORD_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / scale;
    default:
        return (x + 0.5) / scale - 0.5;
    }
}

static double nearest(md_nearest how, double x)
{
    switch (how) {
    case MD_NEAREST_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case MD_NEAREST_FLOOR:
        return floor(x);
    case MD_NEAREST_CEIL:
        return ceil(x);
    default:
        return ceil(x - 0.5);
    }
}

/* Keys' cubic convolution kernel at distance t. */
static double cubic(double a, double t)
{
    t = fabs(t);
    if (t <= 1.0)
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    if (t < 2.0)
        return ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
    return 0.0;
}

/* Taps of one axis: n of them for each output coordinate. */
typedef struct taps {
    int64_t n;
    int64_t *at;    /* [out][n] */
    double *weight; /* [out][n] */
    bool *outside;  /* [out]: takes the value for outside */
} taps;

static double weigh(const md_resample *r, double distance, double shrink)
{
    if (r->mode == MD_RESAMPLE_LINEAR)
        return fmax(0.0, 1.0 - fabs(distance) * shrink);
    return cubic(r->cubic_a, distance * shrink);
}

static void fill(const md_resample *r, double x, double shrink, int64_t in,
                 int64_t n, int64_t *at, double *weight)
{
    int64_t before = n / 2 - 1;
    double base = floor(x) - (double)before, sum = 0.0;

    for (int64_t k = 0; k < n; k++) {
        double i = base + (double)k;

        weight[k] = weigh(r, i - x, shrink);
        if (r->exclude_outside && (i < 0.0 || i > (double)(in - 1)))
            weight[k] = 0.0;
        at[k] = (int64_t)fmin(fmax(i, 0.0), (double)(in - 1));
        sum += weight[k];
    }
    for (int64_t k = 0; k < n && sum != 0.0; k++)
        weight[k] /= sum;
}

static bool is_outside(const md_resample *r, double x, int64_t in)
{
    return r->coordinates == MD_COORD_TF_CROP_AND_RESIZE &&
           (x < 0.0 || x > (double)(in - 1));
}

/* Axis d stays as it is. */
static bool is_kept(const md_resample *r, int d, int64_t in, int64_t out)
{
    return in == out && r->scale[d] == 1.0 &&
           r->coordinates != MD_COORD_TF_CROP_AND_RESIZE;
}

static md_status make_taps(taps *t, const md_resample *r, int d, int64_t in,
                           int64_t out, md_arena *ar, md_error *err)
{
    double shrink = r->antialias && r->scale[d] < 1.0 ? r->scale[d] : 1.0;
    double reach = r->mode == MD_RESAMPLE_LINEAR ? 1.0 : 2.0;
    int64_t n;

    t->n = 2 * (int64_t)ceil(fmin(reach / shrink, (double)in + 2.0));
    if (!md_mul_i64(&n, t->n, out))
        return md_fail(err, MD_TOO_LARGE, "axis %d is too large to resize", d);
    MD_TRY(md_exec__scratch(&t->at, ar, n, sizeof(*t->at), err));
    MD_TRY(md_exec__scratch(&t->weight, ar, n, sizeof(*t->weight), err));
    MD_TRY(md_exec__scratch(&t->outside, ar, out, sizeof(*t->outside), err));
    for (int64_t o = 0; o < out; o++) {
        double x = coordinate(r, d, o, in, out);

        t->outside[o] = is_outside(r, x, in);
        fill(r, x, shrink, in, t->n, t->at + o * t->n, t->weight + o * t->n);
    }
    return MD_OK;
}

/* to[outer][out][inner] from from[outer][in][inner]. */
static void apply(const taps *t, double *to, const double *from, int64_t outer,
                  int64_t in, int64_t out, int64_t inner, double outside)
{
    for (int64_t i = 0; i < outer * out; i++) {
        int64_t o = i % out;
        const double *base = from + i / out * in * inner;

        for (int64_t j = 0; j < inner; j++) {
            double sum = 0.0;

            for (int64_t k = 0; k < t->n; k++)
                sum += t->weight[o * t->n + k] *
                       base[t->at[o * t->n + k] * inner + j];
            to[i * inner + j] = t->outside[o] ? outside : sum;
        }
    }
}

/* The input index of each output coordinate of axis d, -1 outside. */
static md_status find_nearest(int64_t **at, const md_resample *r, int d,
                              int64_t in, int64_t out, md_arena *ar,
                              md_error *err)
{
    MD_TRY(md_exec__scratch(at, ar, out, sizeof(**at), err));
    for (int64_t o = 0; o < out; o++) {
        double x = coordinate(r, d, o, in, out);
        double i = fmax(nearest(r->nearest, x), 0.0);

        (*at)[o] = (int64_t)fmin(i, (double)(in - 1));
        if (is_outside(r, x, in))
            (*at)[o] = -1;
        if (is_kept(r, d, in, out))
            (*at)[o] = o;
    }
    return MD_OK;
}

/* Elements are moved as they are. */
static md_status pick_nearest(const md_resample *r, md_tensor *out,
                              const md_tensor *in, md_arena *ar, md_error *err)
{
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];
    md_place to = { .t = out }, from = { .t = (md_tensor *)in };
    int64_t n = md_tensor_n(out), *at[MD_RANK_MAX] = { NULL };
    int rank = in->shape.rank;
    md_shape one = { 0 };

    for (int d = 0; d < rank; d++)
        MD_TRY(find_nearest(&at[d], r, d, in->shape.dim[d], out->shape.dim[d],
                            ar, err));
    md_shape_strides(stride, &in->shape);
    for (; to.at < n; to.at++) {
        bool outside = false;

        from.at = 0;
        for (int d = 0; d < rank; d++) {
            int64_t i = at[d][index[d]];

            outside = outside || i < 0;
            from.at += i * stride[d];
        }
        if (outside)
            md_tensor_set_f64(out, to.at, r->outside);
        else
            md_move(&to, &from, &one);
        (void)md_step_index(index, out->shape.dim, rank);
    }
    return MD_OK;
}

md_status md_resample__run(const md_resample *r, md_tensor *out,
                           const md_tensor *in, md_arena *ar, md_error *err)
{
    md_shape now = in->shape;
    double *from, *to;

    if (md_tensor_n(in) == 0)
        return md_fail(err, MD_INVALID, "nothing to resize");
    if (r->mode == MD_RESAMPLE_NEAREST)
        return pick_nearest(r, out, in, ar, err);
    MD_TRY(md_exec__scratch(&from, ar, md_tensor_n(in), sizeof(*from), err));
    md_load_f64(from, in, 0, md_tensor_n(in));
    for (int d = now.rank; d-- > 0;) {
        int64_t n = now.dim[d], m = out->shape.dim[d], count;
        taps t;

        if (is_kept(r, d, n, m))
            continue;
        MD_TRY(make_taps(&t, r, d, n, m, ar, err));
        now.dim[d] = m;
        MD_TRY(md_shape_count(&count, &now, err));
        MD_TRY(md_exec__scratch(&to, ar, count, sizeof(*to), err));
        apply(&t, to, from, md_shape_span(&now, 0, d), n, m,
              md_shape_span(&now, d + 1, now.rank), r->outside);
        from = to;
    }
    md_store_f64(out, 0, from, md_tensor_n(out));
    return MD_OK;
}
