/* A picture as the bytes of a file to [height, width, channels]; what cannot be
 * decoded gives an empty tensor, as the standard has it. */
#include <string.h>

#include "image/image.h"
#include "ops/common/util.h"

enum format {
    RGB,
    BGR,
    GRAY
};

static md_status format_of(enum format *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "RGB", "BGR", "Grayscale" };
    const char *name = md_node_attr_s(n, "pixel_format", "RGB");

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum format)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "pixel_format is '%s', RGB, BGR or Grayscale expected",
                   name);
}

static md_status infer(const md_infer *c, md_error *err)
{
    enum format format;
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_T(U8), err));
    MD_TRY(md_infer__rank(c, 0, 1, 1, err));
    MD_TRY(format_of(&format, c->node, err));
    MD_TRY(md_infer__fresh_type(c, &t, MD_DTYPE_U8, 3, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Gray is made of the colors, as by hand, and not of what a file has of it. */
static void put_pixels(uint8_t *to, const md_image *image, enum format format)
{
    size_t n = (size_t)image->width * (size_t)image->height;
    const uint8_t *p = image->pixels;

    if (format == RGB) {
        memcpy(to, p, n * 3);
        return;
    }
    for (size_t i = 0; i < n; i++, p += 3) {
        if (format == GRAY) {
            *to++ = md_image_gray(p);
            continue;
        }
        *to++ = p[2];
        *to++ = p[1];
        *to++ = p[0];
    }
}

static md_status give(md_exec *x, const md_image *image, enum format format,
                      md_error *err)
{
    md_shape shape = { .rank = 3 };
    md_tensor *out;

    if (image->pixels)
        shape = (md_shape){
            3, { image->height, image->width, format == GRAY ? 1 : 3 }
        };
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_U8, &shape, &out, err));
    if (out && image->pixels)
        put_pixels(out->data, image, format);
    return MD_OK;
}

static md_status decode(md_exec *x, const md_infer *c, md_arena *ar,
                        md_error *err)
{
    const md_tensor *in = x->in[0];
    md_error why = MD_ERROR_INIT;
    enum format format;
    md_image image;
    md_status s;

    (void)c;
    (void)ar;
    MD_TRY(format_of(&format, x->node, err));
    s = md_image_decode(&image, in->data, md_tensor_size(in), 3,
                        MD_IMAGE_PIXELS_MAX, x->alloc, &why);
    if (s != MD_OK && s != MD_INVALID && s != MD_MEDIA_TYPE)
        return md_fail(err, s, "%s", why.msg);
    s = give(x, &image, format, err);
    md_image_release(&image);
    return s;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, decode, err);
}

const md_op md_op_image_decoder = {
    .domain = "",
    .name = "ImageDecoder",
    .since = 20,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
