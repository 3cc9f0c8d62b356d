/* BMP, as Windows writes it: 8 bits by palette, 24 and 32 bits, not
 * compressed. */
#include <string.h>

#include "image/image_impl.h"

enum {
    FILE_HEADER = 14,
    INFO_HEADER = 40, /* at least: BITMAPINFOHEADER */
    PALETTE_MAX = 256
};

typedef struct bmp {
    const uint8_t *rows;    /* the first one in the file */
    const uint8_t *palette; /* blue, green, red, 0 */
    uint32_t n_palette;
    size_t stride;
    uint32_t bits;
    bool top_down;
} bmp;

static uint32_t u16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static md_status damaged(md_error *err)
{
    return md_fail(err, MD_INVALID,
                   "BMP picture is damaged or of a kind that cannot be "
                   "decoded");
}

/* The size of the picture and where its parts are; the rows still unchecked. */
static md_status read_header(bmp *b, md_image *image, const uint8_t *p,
                             size_t size, size_t *at, md_error *err)
{
    uint32_t header, compression;
    int32_t height;

    if (size < FILE_HEADER + INFO_HEADER)
        return damaged(err);
    header = u32(p + 14);
    height = (int32_t)u32(p + 22);
    compression = u32(p + 30);
    b->bits = u16(p + 28);
    *at = u32(p + 10);
    if (header < INFO_HEADER || header > size - FILE_HEADER ||
        compression != 0 || height == INT32_MIN ||
        (b->bits != 8 && b->bits != 24 && b->bits != 32))
        return damaged(err);
    b->top_down = height < 0;
    image->width = (int)(int32_t)u32(p + 18);
    image->height = height < 0 ? -height : height;
    b->palette = p + FILE_HEADER + header;
    b->n_palette = u32(p + 46) ? u32(p + 46) : PALETTE_MAX;
    if (b->bits == 8 &&
        (b->n_palette > PALETTE_MAX ||
         (size_t)b->n_palette * 4 > size - FILE_HEADER - header))
        return damaged(err);
    return MD_OK;
}

/* Red, green, blue of pixel x; false for a color that the palette has not. */
static bool read_pixel(const bmp *b, const uint8_t *row, size_t x,
                       uint8_t rgb[3])
{
    const uint8_t *p = row + x * (b->bits / 8);

    if (b->bits == 8) {
        if (*p >= b->n_palette)
            return false;
        p = b->palette + (size_t)*p * 4;
    }
    rgb[0] = p[2];
    rgb[1] = p[1];
    rgb[2] = p[0];
    return true;
}

md_status md_image__bmp(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err)
{
    size_t at = 0, width, height;
    bmp b = { .bits = 0 };

    MD_TRY(read_header(&b, image, data, size, &at, err));
    MD_TRY(md_image__alloc(image, pixels_max, err));
    width = (size_t)image->width;
    height = (size_t)image->height;
    b.stride = (width * b.bits / 8 + 3) / 4 * 4;
    if (at > size || height > (size - at) / b.stride)
        return damaged(err);
    b.rows = (const uint8_t *)data + at;
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row =
            b.rows + (b.top_down ? y : height - 1 - y) * b.stride;

        for (size_t x = 0; x < width; x++) {
            uint8_t rgb[3];

            if (!read_pixel(&b, row, x, rgb))
                return damaged(err);
            md_image__put(image, y * width + x, rgb);
        }
    }
    return MD_OK;
}
