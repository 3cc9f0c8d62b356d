/* com.microsoft's CropAndResize: boxes of images, in coordinates from 0 to 1,
 * brought to one size with their corners aligned. */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_X,
    IN_BOXES, /* y1, x1, y2, x2 */
    IN_BATCH,
    IN_SIZE
};

#define TYPES (MD_T(F32) | MD_T(F64) | MD_T(F16))

static md_status check(const md_infer *c, md_error *err)
{
    const char *mode = md_node_attr_s(c->node, "mode", "bilinear");

    if (strcmp(mode, "bilinear") != 0 && strcmp(mode, "nearest") != 0)
        return md_fail(err, MD_INVALID,
                       "mode is '%s', bilinear or nearest expected", mode);
    MD_TRY(md_infer__need(c, IN_X, TYPES, err));
    MD_TRY(md_infer__need(c, IN_BOXES, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, IN_BOXES, err));
    MD_TRY(md_infer__need(c, IN_BATCH, MD_T(I32), err));
    MD_TRY(md_infer__need(c, IN_SIZE, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, IN_X, 4, 4, err));
    MD_TRY(md_infer__rank(c, IN_BOXES, 2, 2, err));
    return md_infer__length(c, c->in[IN_SIZE], MD_DIM(2), "crop_size", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X], *boxes = c->in[IN_BOXES];
    const md_tensor *size = c->cin[IN_SIZE];
    md_type y;

    MD_TRY(check(c, err));
    MD_TRY(md_infer__fresh_type(c, &y, x->dtype, 4, err));
    if (boxes->has_rank) {
        MD_TRY(md_infer__must_equal(c, boxes->dim[1], MD_DIM(4),
                                    "the size of a box", err));
        MD_TRY(md_infer__length(c, c->in[IN_BATCH], boxes->dim[0],
                                "batch_indices", err));
        y.dim[0] = boxes->dim[0];
    }
    if (x->has_rank)
        y.dim[1] = x->dim[1];
    for (int i = 0; size && i < 2; i++) {
        int64_t n = md_tensor_get_i64(size, i);

        if (n < 1)
            return md_fail(err, MD_INVALID,
                           "crop_size has %lld, at least 1 expected",
                           (long long)n);
        y.dim[2 + i] = MD_DIM(n);
    }
    md_infer__give(c, 0, &y);
    return MD_OK;
}

/* Place of output i of n along an axis of `size`, in elements. */
static double place(double from, double to, int64_t i, int64_t n, int64_t size)
{
    double last = (double)(size - 1);

    if (n == 1)
        return 0.5 * (from + to) * last;
    return from * last + (double)i * (to - from) * last / (double)(n - 1);
}

static double sample(const md_tensor *t, int64_t at, const int64_t *d, double y,
                     double x, bool nearest)
{
    int64_t top = (int64_t)floor(y), left = (int64_t)floor(x);
    int64_t bottom = (int64_t)ceil(y), right = (int64_t)ceil(x);
    double fy = y - (double)top, fx = x - (double)left, a, b;

    if (nearest)
        return md_tensor_get_f64(t, at + (int64_t)round(y) * d[3] +
                                        (int64_t)round(x));
    a = md_tensor_get_f64(t, at + top * d[3] + left);
    a += (md_tensor_get_f64(t, at + top * d[3] + right) - a) * fx;
    b = md_tensor_get_f64(t, at + bottom * d[3] + left);
    b += (md_tensor_get_f64(t, at + bottom * d[3] + right) - b) * fx;
    return a + (b - a) * fy;
}

static void crop(const md_exec *x, md_tensor *out, int64_t box, int64_t batch)
{
    const md_tensor *in = x->in[IN_X];
    const int64_t *d = in->shape.dim, *o = out->shape.dim;
    bool nearest =
        strcmp(md_node_attr_s(x->node, "mode", "bilinear"), "nearest") == 0;
    double outside = md_node_attr_f(x->node, "extrapolation_value", 0.0f);
    double b[4];

    md_load_f64(b, x->in[IN_BOXES], box * 4, 4);
    for (int64_t i = 0; i < o[1] * o[2] * o[3]; i++) {
        double py = place(b[0], b[2], i / o[3] % o[2], o[2], d[2]);
        double px = place(b[1], b[3], i % o[3], o[3], d[3]);
        int64_t at = (batch * d[1] + i / o[3] / o[2]) * d[2] * d[3];
        bool inside = py >= 0.0 && py <= (double)(d[2] - 1) && px >= 0.0 &&
                      px <= (double)(d[3] - 1);

        md_tensor_set_f64(out, box * o[1] * o[2] * o[3] + i,
                          inside ? sample(in, at, d, py, px, nearest)
                                 : outside);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    for (int64_t i = 0; i < out->shape.dim[0]; i++) {
        int64_t batch = md_tensor_get_i64(x->in[IN_BATCH], i);
        int64_t n = x->in[IN_X]->shape.dim[0];

        if (batch < 0 || batch >= n)
            return md_fail(err, MD_INVALID,
                           "batch_indices has %lld, 0 to %lld expected",
                           (long long)batch, (long long)n - 1);
        crop(x, out, i, batch);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_crop_and_resize = {
    .domain = "com.microsoft",
    .name = "CropAndResize",
    .since = 1,
    .in_min = 4,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
