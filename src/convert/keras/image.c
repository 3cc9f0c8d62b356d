/* Padding, cropping and resizing of images. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

enum {
    AXES_MAX = 3
};

/* {lo, hi} per axis: one number, one per axis, or a pair per axis. */
static md_status read_pairs(int64_t (*out)[2], int n, const md_keras_build *b,
                            const char *key, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, key);
    /* Over one axis a bare pair is the pair. */
    bool bare = n == 1 && json_array_size(v) == 2;
    bool list = json_is_array(v) && !bare;
    bool fits = !list || json_array_size(v) == (size_t)n;

    for (int i = 0; i < n; i++) {
        const json_t *e = list ? json_array_get(v, (size_t)i) : v;

        fits = fits && (!json_is_array(e) || json_array_size(e) == 2);
        for (size_t k = 0; k < 2; k++) {
            const json_t *x = json_is_array(e) ? json_array_get(e, k) : e;

            if (!fits || !json_is_integer(x) || json_integer_value(x) < 0 ||
                json_integer_value(x) > INT32_MAX)
                return md_keras_fail(b, err, MD_CORRUPT,
                                     "'%s' is not a pair per axis", key);
            out[i][k] = json_integer_value(x);
        }
    }
    return MD_OK;
}

static md_status begin(md_keras_value *out, int *n, md_keras_build *b,
                       const md_keras_value *x, md_error *err)
{
    *n = x->rank - 2;
    if (*n < 1 || *n > AXES_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", x->rank);
    return md_keras_first(out, b, x, err);
}

md_status md_keras_emit_zero_padding(md_keras_build *b, const md_keras_value *x,
                                     uint32_t n_x, md_keras_value *out,
                                     md_error *err)
{
    int64_t pads[2 * MD_RANK_MAX] = { 0 };
    int64_t pair[AXES_MAX][2] = { { 0 } };
    md_value_id in[2];
    int n;

    (void)n_x;
    MD_TRY(begin(out, &n, b, x, err));
    MD_TRY(read_pairs(pair, n, b, "padding", err));
    for (int i = 0; i < n; i++) {
        pads[2 + i] = pair[i][0];
        pads[x->rank + 2 + i] = pair[i][1];
        if (out->dim[i + 1] >= 0 &&
            !md_add_i64(&out->dim[i + 1], out->dim[i + 1],
                        pair[i][0] + pair[i][1]))
            return md_keras_fail(b, err, MD_TOO_LARGE, "padded size");
    }
    in[0] = out->id;
    MD_TRY(md_keras_const_ints(&in[1], b, "pads", pads, 2 * (uint32_t)x->rank,
                               err));
    return md_keras_op(&out->id, b, "Pad", in, 2, NULL, err);
}

/* Elements [lo, size - hi) of each spatial axis. */
static md_status crop(md_keras_value *out, md_keras_build *b,
                      int64_t (*pair)[2], int n, md_error *err)
{
    int64_t start[AXES_MAX];
    int64_t end[AXES_MAX];
    int64_t axes[AXES_MAX];
    md_value_id in[4];

    for (int i = 0; i < n; i++) {
        int64_t *d = &out->dim[i + 1];

        start[i] = pair[i][0];
        end[i] = pair[i][1] > 0 ? -pair[i][1] : INT64_MAX;
        axes[i] = i + 2;
        if (*d >= 0 && pair[i][0] + pair[i][1] >= *d)
            return md_keras_fail(b, err, MD_CORRUPT, "nothing left of axis %d",
                                 i);
        if (*d >= 0)
            *d -= pair[i][0] + pair[i][1];
    }
    in[0] = out->id;
    MD_TRY(md_keras_const_ints(&in[1], b, "starts", start, (uint32_t)n, err));
    MD_TRY(md_keras_const_ints(&in[2], b, "ends", end, (uint32_t)n, err));
    MD_TRY(md_keras_const_ints(&in[3], b, "axes", axes, (uint32_t)n, err));
    return md_keras_op(&out->id, b, "Slice", in, 4, NULL, err);
}

md_status md_keras_emit_cropping(md_keras_build *b, const md_keras_value *x,
                                 uint32_t n_x, md_keras_value *out,
                                 md_error *err)
{
    int64_t pair[AXES_MAX][2] = { { 0 } };
    int n;

    (void)n_x;
    MD_TRY(begin(out, &n, b, x, err));
    MD_TRY(read_pairs(pair, n, b, "cropping", err));
    return crop(out, b, pair, n, err);
}

static md_status read_size(int64_t size[2], const md_keras_build *b,
                           const md_keras_value *x, md_error *err)
{
    size[0] = md_keras_int(b->layer->config, "height", 0);
    size[1] = md_keras_int(b->layer->config, "width", 0);
    if (x->rank == 4 && size[0] > 0 && size[1] > 0 && x->dim[1] > 0 &&
        x->dim[2] > 0)
        return MD_OK;
    return md_keras_fail(b, err, MD_UNSUPPORTED,
                         "images of rank %d to %lld x %lld; fixed sizes "
                         "expected",
                         x->rank, (long long)size[0], (long long)size[1]);
}

/* The middle; smaller images would be resized. */
md_status md_keras_emit_center_crop(md_keras_build *b, const md_keras_value *x,
                                    uint32_t n_x, md_keras_value *out,
                                    md_error *err)
{
    int64_t pair[AXES_MAX][2] = { { 0 } };
    int64_t size[2];
    int n;

    (void)n_x;
    MD_TRY(read_size(size, b, x, err));
    MD_TRY(begin(out, &n, b, x, err));
    for (int i = 0; i < 2; i++) {
        int64_t over = x->dim[i + 1] - size[i];

        if (over < 0)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "crop of %lld out of %lld", (long long)size[i],
                                 (long long)x->dim[i + 1]);
        pair[i][0] = over / 2;
        pair[i][1] = over - over / 2;
    }
    return crop(out, b, pair, n, err);
}

/* Attributes of Resize that mean what TensorFlow does. */
static md_status resize_mode(md_keras_build *b, md_node *node, const char *mode,
                             const char *where, const char *nearest,
                             md_error *err)
{
    MD_TRY(md_node_set_attr_s(b->g, node, "mode", mode, err));
    MD_TRY(md_node_set_attr_s(b->g, node, "coordinate_transformation_mode",
                              where, err));
    return md_node_set_attr_s(b->g, node, "nearest_mode", nearest, err);
}

md_status md_keras_emit_up_sampling(md_keras_build *b, const md_keras_value *x,
                                    uint32_t n_x, md_keras_value *out,
                                    md_error *err)
{
    const char *how =
        md_keras_text(b->layer->config, "interpolation", "nearest");
    bool nearest = strcmp(how, "nearest") == 0;
    md_value_id in[3] = { 0, MD_VALUE_NONE };
    float scale[MD_RANK_MAX] = { 1, 1 };
    md_shape shape = { 1, { x->rank } };
    int64_t size[AXES_MAX] = { 0 };
    md_node *node;
    int n;

    (void)n_x;
    if (!nearest && strcmp(how, "bilinear") != 0)
        return md_keras_refuse(b, err, "interpolation");
    MD_TRY(begin(out, &n, b, x, err));
    MD_TRY(md_keras_ints(size, (uint32_t)n, b->layer, "size", 2, err));
    for (int i = 0; i < n; i++) {
        int64_t *d = &out->dim[i + 1];

        if (size[i] < 1 || size[i] > 4096 ||
            (*d >= 0 && !md_mul_i64(d, *d, size[i])))
            return md_keras_fail(b, err, MD_CORRUPT, "size %lld",
                                 (long long)size[i]);
        scale[i + 2] = (float)size[i];
    }
    in[0] = out->id;
    MD_TRY(md_keras_const_floats(&in[2], b, "scales", scale, &shape, err));
    MD_TRY(md_keras_op(&out->id, b, "Resize", in, 3, &node, err));
    return nearest ? resize_mode(b, node, "nearest", "asymmetric", "floor", err)
                   : resize_mode(b, node, "linear", "half_pixel", "floor", err);
}

/*
 * The factor from `in` to exactly `out` elements, floor(in * factor) of which
 * Resize makes: a rounded quotient may be too small for that.
 */
static float scale_to(int64_t in, int64_t out)
{
    float scale = (float)out / (float)in;

    while ((int64_t)floorf((float)in * scale) < out ||
           (int64_t)floor((double)in * (double)scale) < out)
        scale = nextafterf(scale, INFINITY);
    return scale;
}

/* What would change the picture in another way than bilinear. */
static md_status check_resizing(const md_keras_build *b, md_error *err)
{
    static const char *const off[] = { "antialias", "crop_to_aspect_ratio",
                                       "pad_to_aspect_ratio" };
    const json_t *c = b->layer->config;

    if (strcmp(md_keras_text(c, "interpolation", "bilinear"), "bilinear") != 0)
        return md_keras_refuse(b, err, "interpolation");
    for (size_t i = 0; i < MD_COUNT(off); i++) {
        if (md_keras_bool(c, off[i], false))
            return md_keras_refuse(b, err, off[i]);
    }
    return MD_OK;
}

md_status md_keras_emit_resizing(md_keras_build *b, const md_keras_value *x,
                                 uint32_t n_x, md_keras_value *out,
                                 md_error *err)
{
    md_value_id in[3] = { 0, MD_VALUE_NONE };
    float scale[4] = { 1, 1 };
    md_shape shape = { 1, { 4 } };
    int64_t size[2];
    md_node *node;
    int n;

    (void)n_x;
    MD_TRY(check_resizing(b, err));
    MD_TRY(read_size(size, b, x, err));
    MD_TRY(begin(out, &n, b, x, err));
    for (int i = 0; i < 2; i++) {
        scale[i + 2] = scale_to(x->dim[i + 1], size[i]);
        out->dim[i + 1] = size[i];
    }
    /* Sizes would need the batch, which is free, or `axes`, with which
     * onnxruntime's layout changes break the node. */
    in[0] = out->id;
    MD_TRY(md_keras_const_floats(&in[2], b, "scales", scale, &shape, err));
    MD_TRY(md_keras_op(&out->id, b, "Resize", in, 3, &node, err));
    return resize_mode(b, node, "linear", "half_pixel", "floor", err);
}
