/* PNG by libpng's simplified interface, which catches its own errors. */
#include <string.h>

#include <png.h>

#include "base/size.h"
#include "formats/image_impl.h"

/* From `from` channels per pixel to image->channels; alpha, if any, last. */
static void convert(md_image *image, const uint8_t *in, int from)
{
    size_t n = (size_t)image->width * (size_t)image->height;
    bool is_color = from >= 3;

    for (size_t i = 0; i < n; i++, in += from) {
        uint8_t *out = image->pixels + i * (size_t)image->channels;

        if (image->channels == 1)
            out[0] = is_color ? md_image__gray(in) : in[0];
        else
            for (int c = 0; c < 3; c++)
                out[c] = in[is_color ? c : 0];
    }
}

static md_status read(md_image *image, png_image *png, size_t pixels_max,
                      md_error *err)
{
    const bool is_color = (png->format & PNG_FORMAT_FLAG_COLOR) != 0;
    const bool has_alpha = (png->format & PNG_FORMAT_FLAG_ALPHA) != 0;
    const int from = (is_color ? 3 : 1) + has_alpha;
    uint8_t *raw = NULL;
    size_t size;

    if (png->width > INT32_MAX || png->height > INT32_MAX)
        return md_fail(err, MD_TOO_LARGE, "picture is too large");
    image->width = (int)png->width;
    image->height = (int)png->height;
    MD_TRY(md_image__alloc(image, pixels_max, err));
    png->format = (is_color ? PNG_FORMAT_FLAG_COLOR : 0u) |
                  (has_alpha ? PNG_FORMAT_FLAG_ALPHA : 0u);
    size = (size_t)png->width * png->height * (size_t)from;
    raw = md_malloc(image->alloc, size);
    if (!raw)
        return md_fail_nomem(err, size);
    if (!png_image_finish_read(png, NULL, raw, 0, NULL)) {
        md_free(image->alloc, raw);
        return md_fail(err, MD_INVALID, "PNG picture is damaged");
    }
    convert(image, raw, from);
    md_free(image->alloc, raw);
    return MD_OK;
}

md_status md_image__png(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err)
{
    png_image png;
    md_status s;

    memset(&png, 0, sizeof(png));
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&png, data, size))
        return md_fail(err, MD_INVALID, "PNG picture is damaged");
    s = read(image, &png, pixels_max, err);
    png_image_free(&png);
    return s;
}
