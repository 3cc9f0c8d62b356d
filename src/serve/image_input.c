#include "serve/image_input.h"

#include "image/image.h"
#include "serve/server_impl.h"

enum {
    PIXELS_MAX = 16 << 20 /* of one picture in a request */
};

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
    s = md_picture_decode(im, &m->image, &m->inputs->shape, data, size,
                          PIXELS_MAX, alloc, err);
    return s == MD_TOO_LARGE ? md_wrap(err, s, "model '%s': ", m->name) : s;
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
        md_picture_fill(&t, &f->model->image, &im);
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
        md_picture_fill(out, &m->image, &im);
    md_image_release(&im);
    return s;
}
