#include "image/image.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "image/image_impl.h"

static bool is_png(const void *data, size_t size)
{
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool is_jpeg(const void *data, size_t size)
{
    return size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

static bool is_webp(const void *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 &&
           memcmp((const char *)data + 8, "WEBP", 4) == 0;
}

/* Two letters alone are little: the header's size is one of Windows' too. */
static bool is_bmp(const void *data, size_t size)
{
    const uint8_t *p = data;

    return size >= 18 && memcmp(p, "BM", 2) == 0 && p[14] >= 40 &&
           p[14] <= 124 && !p[15] && !p[16] && !p[17];
}

static bool is_pnm(const void *data, size_t size)
{
    const char *p = data;

    return size >= 3 && p[0] == 'P' && p[1] >= '1' && p[1] <= '6' &&
           (p[2] == '\n' || p[2] == ' ' || p[2] == '\r' || p[2] == '\t');
}

bool md_image_probe(const void *data, size_t size)
{
    return is_png(data, size) || is_jpeg(data, size) || is_webp(data, size) ||
           is_bmp(data, size) || is_pnm(data, size);
}

void md_image_release(md_image *image)
{
    if (image->pixels)
        md_free(image->alloc, image->pixels);
    image->pixels = NULL;
}

md_status md_image__alloc(md_image *image, size_t pixels_max, md_error *err)
{
    size_t n;

    if (image->width < 1 || image->height < 1 ||
        !md_mul_size(&n, (size_t)image->width, (size_t)image->height) ||
        n > pixels_max || !md_mul_size(&n, n, (size_t)image->channels))
        return md_fail(err, MD_TOO_LARGE,
                       "picture of %d x %d pixels given, 1 to %zu expected",
                       image->width, image->height, pixels_max);
    image->pixels = md_malloc(image->alloc, n);
    return image->pixels ? MD_OK : md_fail_nomem(err, n);
}

uint8_t md_image_gray(const uint8_t rgb[3])
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] +
                      32768u) >>
                     16);
}

void md_image__put(md_image *image, size_t i, const uint8_t rgb[3])
{
    if (image->channels == 1)
        image->pixels[i] = md_image_gray(rgb);
    else
        memcpy(image->pixels + 3 * i, rgb, 3);
}

md_status md_image_decode(md_image *out, const void *data, size_t size,
                          int channels, size_t pixels_max,
                          const md_alloc *alloc, md_error *err)
{
    md_status s;

    *out = (md_image){ .channels = channels, .alloc = alloc };
    if (is_png(data, size))
        s = md_image__png(out, data, size, pixels_max, err);
    else if (is_jpeg(data, size))
        s = md_image__jpeg(out, data, size, pixels_max, err);
    else if (is_webp(data, size))
        s = md_image__webp(out, data, size, pixels_max, err);
    else if (is_bmp(data, size))
        s = md_image__bmp(out, data, size, pixels_max, err);
    else if (is_pnm(data, size))
        s = md_image__pnm(out, data, size, pixels_max, err);
    else
        s = md_fail(err, MD_MEDIA_TYPE,
                    "picture is neither PNG, JPEG, WebP, BMP nor PNM");
    if (s != MD_OK)
        md_image_release(out);
    return s;
}

/* ---- resizing ---- */

/* Resize one axis: n_lines lines of `size` pixels, `stride` bytes between
 * pixels and `line` between lines, to `want` pixels. */
typedef struct axis {
    int n_lines;
    int size;
    int want;
    size_t in_stride, in_line;
    size_t out_stride, out_line;
} axis;

static void resize_axis(uint8_t *out, const uint8_t *in, const axis *a,
                        int channels)
{
    const double scale = (double)a->size / a->want;
    const double reach = scale > 1 ? scale : 1; /* half width of the filter */

    for (int o = 0; o < a->want; o++) {
        const double center = (o + 0.5) * scale - 0.5;
        const int from = (int)fmax(ceil(center - reach), 0);
        const int to = (int)fmin(floor(center + reach), a->size - 1);

        for (int l = 0; l < a->n_lines; l++)
            for (int c = 0; c < channels; c++) {
                double sum = 0;
                double weights = 0;

                for (int i = from; i <= to; i++) {
                    double w = 1 - fabs(i - center) / reach;

                    sum += w * in[(size_t)l * a->in_line +
                                  (size_t)i * a->in_stride + (size_t)c];
                    weights += w;
                }
                out[(size_t)l * a->out_line + (size_t)o * a->out_stride +
                    (size_t)c] = (uint8_t)(sum / weights + 0.5);
            }
    }
}

md_status md_image_resize(md_image *out, const md_image *in, int width,
                          int height, md_error *err)
{
    const size_t px = (size_t)in->channels;
    md_image wide = { .width = width,
                      .height = in->height,
                      .channels = in->channels,
                      .alloc = in->alloc };
    md_status s;

    *out = (md_image){ .width = width,
                       .height = height,
                       .channels = in->channels,
                       .alloc = in->alloc };
    MD_GOTO(md_image__alloc(&wide, MD_IMAGE_PIXELS_MAX, err));
    MD_GOTO(md_image__alloc(out, MD_IMAGE_PIXELS_MAX, err));
    resize_axis(wide.pixels, in->pixels,
                &(axis){ .n_lines = in->height,
                         .size = in->width,
                         .want = width,
                         .in_stride = px,
                         .in_line = px * (size_t)in->width,
                         .out_stride = px,
                         .out_line = px * (size_t)width },
                in->channels);
    resize_axis(out->pixels, wide.pixels,
                &(axis){ .n_lines = width,
                         .size = in->height,
                         .want = height,
                         .in_stride = px * (size_t)width,
                         .in_line = px,
                         .out_stride = px * (size_t)width,
                         .out_line = px },
                in->channels);
out:
    md_image_release(&wide);
    return s;
}

md_status md_image_pad(md_image *out, const md_image *in, int width, int height,
                       md_error *err)
{
    const size_t px = (size_t)in->channels;
    const size_t left = (size_t)(width - in->width) / 2;
    const size_t top = (size_t)(height - in->height) / 2;

    *out = (md_image){ .width = width,
                       .height = height,
                       .channels = in->channels,
                       .alloc = in->alloc };
    MD_TRY(md_image__alloc(out, MD_IMAGE_PIXELS_MAX, err));
    memset(out->pixels, 0, px * (size_t)width * (size_t)height);
    for (size_t y = 0; y < (size_t)in->height; y++)
        memcpy(out->pixels + px * ((top + y) * (size_t)width + left),
               in->pixels + px * y * (size_t)in->width, px * (size_t)in->width);
    return MD_OK;
}
