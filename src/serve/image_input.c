#include "serve/image_input.h"

#include "image/image.h"
#include "serve/server_impl.h"

enum {
    PIXELS_MAX = 16 << 20 /* of one picture in a request */
};

/* Size the picture to the model's; variable sides keep the picture's own. */
static md_status fit(md_image *im, const md_serve_model *m, md_error *err)
{
    const md_serve_image *spec = &m->image;
    const int64_t *d = m->inputs->shape.dim + spec->height_axis;
    int64_t height = d[0] < 0 ? im->height : d[0];
    int64_t width = d[1] < 0 ? im->width : d[1];
    md_image sized;

    if (height == im->height && width == im->width)
        return MD_OK;
    if (height > INT32_MAX || width > INT32_MAX)
        return md_fail(err, MD_TOO_LARGE, "model '%s' takes %lld x %lld pixels",
                       m->name, (long long)width, (long long)height);
    if (spec->pad && im->width <= width && im->height <= height)
        MD_TRY(md_image_pad(&sized, im, (int)width, (int)height, err));
    else
        MD_TRY(md_image_resize(&sized, im, (int)width, (int)height, err));
    md_image_release(im);
    *im = sized;
    return MD_OK;
}

/* Pixel values as the model wants them, for each channel. */
static void fill_table(float table[256], const md_serve_image *spec, int c)
{
    for (int v = 0; v < 256; v++)
        table[v] = ((float)v * spec->scale - spec->mean[c]) / spec->std[c];
}

static void store(md_tensor *t, int64_t i, const float *table, uint8_t v)
{
    if (t->dtype == MD_DTYPE_F32)
        ((float *)t->data)[i] = table[v];
    else
        md_tensor_set_f64(t, i, table[v]);
}

static void fill(md_tensor *t, const md_serve_image *spec, const md_image *im)
{
    int64_t plane = (int64_t)im->width * im->height;
    bool planes =
        spec->channel_axis >= 0 && spec->channel_axis < spec->height_axis;

    for (int c = 0; c < im->channels; c++) {
        float table[256];

        fill_table(table, spec, c);
        for (int64_t i = 0; i < plane; i++)
            store(t, planes ? c * plane + i : i * im->channels + c, table,
                  im->pixels[i * im->channels + c]);
    }
}

/* The input's shape for a picture of this size. */
static md_shape shape_of(const md_serve_model *m, const md_image *im)
{
    md_shape shape = m->inputs->shape;

    shape.dim[0] = shape.dim[0] < 0 ? 1 : shape.dim[0];
    shape.dim[m->image.height_axis] = im->height;
    shape.dim[m->image.height_axis + 1] = im->width;
    return shape;
}

static md_status decode(md_image *im, const md_serve_model *m, const void *data,
                        size_t size, const md_alloc *alloc, md_error *err)
{
    md_status s;

    if (!m->image.accepted)
        return md_fail(err, MD_MEDIA_TYPE,
                       "model '%s' takes no pictures: send JSON", m->name);
    MD_TRY(md_image_decode(im, data, size, m->image.channels, PIXELS_MAX, alloc,
                           err));
    s = fit(im, m, err);
    if (s != MD_OK)
        md_image_release(im);
    return s;
}

md_status md_image_input_read(md_feed *f, const void *data, size_t size,
                              md_error *err)
{
    md_tensor t = { .dtype = f->model->inputs->dtype };
    md_image im;
    md_status s;

    MD_TRY(
        decode(&im, f->model, data, size, f->call->server->request_alloc, err));
    t.shape = shape_of(f->model, &im);
    s = md_feed_reserve(f, 0, (int64_t)im.width * im.height * im.channels,
                        &t.data, err);
    if (s == MD_OK) {
        fill(&t, &f->model->image, &im);
        f->inputs[0].shape = t.shape;
        f->inputs[0].given = true;
    }
    md_image_release(&im);
    return s;
}

md_status md_image_input_tensor(md_tensor *out, const md_serve_model *m,
                                const void *data, size_t size,
                                const md_alloc *alloc, md_error *err)
{
    md_shape shape;
    md_image im;
    md_status s;

    MD_TRY(decode(&im, m, data, size, alloc, err));
    shape = shape_of(m, &im);
    s = md_tensor_alloc(out, m->inputs->dtype, &shape, alloc, err);
    if (s == MD_OK)
        fill(out, &m->image, &im);
    md_image_release(&im);
    return s;
}
