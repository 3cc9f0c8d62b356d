#include "serve/image_input.h"

#include "formats/image.h"

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

static md_status read(md_feed *f, md_image *im, md_error *err)
{
    const md_serve_image *spec = &f->model->image;
    md_feed_input *in = &f->inputs[0];
    md_tensor t = { .dtype = f->model->inputs->dtype };

    MD_TRY(fit(im, f->model, err));
    t.shape = f->model->inputs->shape;
    t.shape.dim[0] = t.shape.dim[0] < 0 ? 1 : t.shape.dim[0];
    t.shape.dim[spec->height_axis] = im->height;
    t.shape.dim[spec->height_axis + 1] = im->width;
    MD_TRY(md_feed_reserve(f, 0, (int64_t)im->width * im->height * im->channels,
                           &t.data, err));
    fill(&t, spec, im);
    in->shape = t.shape;
    in->given = true;
    return MD_OK;
}

md_status md_image_input_read(md_feed *f, const void *data, size_t size,
                              md_error *err)
{
    const md_serve_model *m = f->model;
    md_image im;
    md_status s;

    if (!m->image.accepted)
        return md_fail(err, MD_MEDIA_TYPE,
                       "model '%s' takes no pictures: send JSON", m->name);
    MD_TRY(md_image_decode(&im, data, size, m->image.channels, PIXELS_MAX,
                           md_alloc_tagged(MD_MEM_request), err));
    s = read(f, &im, err);
    md_image_release(&im);
    return s;
}
