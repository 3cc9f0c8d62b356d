#include "data/picture.h"

#include <string.h>

#include "base/num.h"

/* ---- shapes ---- */

static bool is_colors(int64_t n)
{
    return n == 1 || n == 3;
}

/* A picture has room for more than its channels: [N,3,4] is none. */
static bool is_side(int64_t n)
{
    return n == -1 || n > 3;
}

void md_picture_guess(md_picture *out, md_dtype dtype, const md_shape *shape)
{
    const int64_t *d = shape->dim;
    int rank = shape->rank;
    int from = rank == 4 ? 1 : 0; /* the batch axis comes first */

    *out = (md_picture){ .channel_axis = -1, .channels = 1 };
    if (rank < 3 || rank > 4 ||
        !(md_dtype_is_float(dtype) || dtype == MD_DTYPE_U8) ||
        (rank == 4 && d[0] != -1 && d[0] != 1))
        return;
    if (is_colors(d[from + 2]) && is_side(d[from]) && is_side(d[from + 1])) {
        out->height_axis = from;
        out->channel_axis = from + 2;
    } else if (is_colors(d[from]) && is_side(d[from + 1]) &&
               is_side(d[from + 2])) {
        out->height_axis = from + 1;
        out->channel_axis = from;
    } else if (rank == 3 && (d[0] == -1 || d[0] == 1) && is_side(d[1]) &&
               is_side(d[2])) {
        out->height_axis = 1; /* [N,H,W] */
    } else {
        return;
    }
    out->accepted = true;
    if (out->channel_axis >= 0)
        out->channels = (int)d[out->channel_axis];
    out->scale = dtype == MD_DTYPE_U8 ? 1.0f : 1.0f / 255.0f;
    for (int i = 0; i < 3; i++)
        out->std[i] = 1.0f;
}

/* ---- metadata ---- */

/* "0.5" for all of out, or "0.485,0.456,0.406". */
static md_status parse_numbers(float *out, int n, const char *key,
                               const char *text, md_error *err)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + strlen(text);
    int got = 0;

    while (got < n) {
        while (*p == ' ')
            p++;
        if (md_num_f32(&out[got], &p, p, end) != MD_NUM_OK)
            break;
        got++;
        while (*p == ' ')
            p++;
        if (*p != ',')
            break;
        p++;
    }
    if (p != end || (got != 1 && got != n))
        return md_fail(err, MD_INVALID,
                       "metadata '%s': '%.60s' given, %d numbers with commas "
                       "between them expected",
                       key, text, n);
    for (; got < n; got++)
        out[got] = out[0];
    return MD_OK;
}

md_status md_picture_read_meta(md_picture *p, const md_model *model,
                               md_error *err)
{
    const char *scale = md_model_meta(model, "modeld.image.scale");
    const char *mean = md_model_meta(model, "modeld.image.mean");
    const char *std = md_model_meta(model, "modeld.image.std");
    const char *fit = md_model_meta(model, "modeld.image.fit");

    if (scale)
        MD_TRY(parse_numbers(&p->scale, 1, "modeld.image.scale", scale, err));
    if (mean)
        MD_TRY(parse_numbers(p->mean, p->channels, "modeld.image.mean", mean,
                             err));
    if (std)
        MD_TRY(
            parse_numbers(p->std, p->channels, "modeld.image.std", std, err));
    for (int i = 0; i < p->channels; i++)
        if (p->std[i] == 0.0f)
            return md_fail(err, MD_INVALID,
                           "metadata 'modeld.image.std': 0 "
                           "given, another number expected");
    if (fit && strcmp(fit, "pad") != 0 && strcmp(fit, "stretch") != 0)
        return md_fail(err, MD_INVALID,
                       "metadata 'modeld.image.fit': '%.40s' given, 'stretch' "
                       "or 'pad' expected",
                       fit);
    p->pad = fit && strcmp(fit, "pad") == 0;
    return MD_OK;
}

/* ---- pixels ---- */

/* Size the picture to the input's. */
static md_status fit(md_image *im, const md_picture *p, const md_shape *shape,
                     md_error *err)
{
    const int64_t *d = shape->dim + p->height_axis;
    int64_t height = d[0] < 0 ? im->height : d[0];
    int64_t width = d[1] < 0 ? im->width : d[1];
    md_image sized;

    if (height == im->height && width == im->width)
        return MD_OK;
    if (height > INT32_MAX || width > INT32_MAX)
        return md_fail(err, MD_TOO_LARGE, "%lld x %lld pixels are expected",
                       (long long)width, (long long)height);
    if (p->pad && im->width <= width && im->height <= height)
        MD_TRY(md_image_pad(&sized, im, (int)width, (int)height, err));
    else
        MD_TRY(md_image_resize(&sized, im, (int)width, (int)height, err));
    md_image_release(im);
    *im = sized;
    return MD_OK;
}

md_status md_picture_decode(md_image *out, const md_picture *p,
                            const md_shape *shape, const void *data,
                            size_t size, size_t pixels_max,
                            const md_alloc *alloc, md_error *err)
{
    md_status s;

    MD_TRY(
        md_image_decode(out, data, size, p->channels, pixels_max, alloc, err));
    s = fit(out, p, shape, err);
    if (s != MD_OK)
        md_image_release(out);
    return s;
}

void md_picture_table(float table[256], const md_picture *p, int c)
{
    for (int v = 0; v < 256; v++)
        table[v] = ((float)v * p->scale - p->mean[c]) / p->std[c];
}

static void store(md_tensor *t, int64_t i, const float *table, uint8_t v)
{
    if (t->dtype == MD_DTYPE_F32)
        ((float *)t->data)[i] = table[v];
    else
        md_tensor_set_f64(t, i, table[v]);
}

void md_picture_fill(md_tensor *t, const md_picture *p, const md_image *im)
{
    int64_t plane = (int64_t)im->width * im->height;
    bool planes = p->channel_axis >= 0 && p->channel_axis < p->height_axis;

    for (int c = 0; c < im->channels; c++) {
        float table[256];

        md_picture_table(table, p, c);
        for (int64_t i = 0; i < plane; i++)
            store(t, planes ? c * plane + i : i * im->channels + c, table,
                  im->pixels[i * im->channels + c]);
    }
}
