/* WebP by libwebp: still pictures, alpha dropped. */
#include <webp/decode.h>

#include "base/size.h"
#include "image/image_impl.h"

static md_status decode(md_image *image, uint8_t *rgb, const void *data,
                        size_t size, md_error *err)
{
    size_t n = (size_t)image->width * (size_t)image->height;

    if (!WebPDecodeRGBInto(data, size, rgb, n * 3, image->width * 3))
        return md_fail(err, MD_INVALID,
                       "WebP picture is damaged or of a kind that cannot be "
                       "decoded");
    if (image->channels == 1)
        for (size_t i = 0; i < n; i++)
            image->pixels[i] = md_image_gray(rgb + 3 * i);
    return MD_OK;
}

md_status md_image__webp(md_image *image, const void *data, size_t size,
                         size_t pixels_max, md_error *err)
{
    uint8_t *rgb;
    size_t n;
    md_status s;

    if (!WebPGetInfo(data, size, &image->width, &image->height))
        return md_fail(err, MD_INVALID, "WebP picture is damaged");
    MD_TRY(md_image__alloc(image, pixels_max, err));
    if (image->channels == 3)
        return decode(image, image->pixels, data, size, err);
    n = (size_t)image->width * (size_t)image->height * 3;
    rgb = md_malloc(image->alloc, n);
    s = rgb ? decode(image, rgb, data, size, err) : md_fail_nomem(err, n);
    md_free(image->alloc, rgb);
    return s;
}
