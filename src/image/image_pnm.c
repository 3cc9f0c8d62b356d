/* Portable anymaps: P1 to P6, of bits, grays and colors, as text and in
 * binary; samples up to a maximum are scaled to 255. */
#include <string.h>

#include "image/image_impl.h"

typedef struct reader {
    const uint8_t *p, *end;
    char kind;    /* '1' to '6' */
    uint32_t max; /* of a sample */
} reader;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static md_status damaged(md_error *err)
{
    return md_fail(err, MD_INVALID, "PNM picture is damaged");
}

/* White space and comments. */
static void skip(reader *r)
{
    while (r->p < r->end && (is_space(*r->p) || *r->p == '#')) {
        if (*r->p == '#')
            while (r->p < r->end && *r->p != '\n')
                r->p++;
        else
            r->p++;
    }
}

static bool read_number(reader *r, uint32_t *out)
{
    const uint8_t *begin;

    skip(r);
    *out = 0;
    for (begin = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++) {
        if (*out > INT32_MAX / 10 - 1)
            return false;
        *out = *out * 10 + (uint32_t)(*r->p - '0');
    }
    return r->p > begin;
}

static md_status read_header(reader *r, md_image *image, md_error *err)
{
    bool bits = r->kind == '1' || r->kind == '4';
    uint32_t width, height;

    r->max = 1;
    if (!read_number(r, &width) || !read_number(r, &height) ||
        (!bits && !read_number(r, &r->max)) || r->max < 1 || r->max > 65535)
        return damaged(err);
    if (r->kind >= '4') { /* one white space, then bytes */
        if (r->p == r->end || !is_space(*r->p))
            return damaged(err);
        r->p++;
    }
    image->width = (int)width;
    image->height = (int)height;
    return MD_OK;
}

/* A sample; of P4 column x of a row of packed bits, whose last byte may have
 * room. */
static bool read_sample(reader *r, size_t x, size_t width, uint32_t *out)
{
    if (r->kind == '1') {
        skip(r);
        if (r->p == r->end || (*r->p != '0' && *r->p != '1'))
            return false;
        *out = *r->p++ == '0'; /* 1 is black */
        return true;
    }
    if (r->kind < '4')
        return read_number(r, out) && *out <= r->max;
    if (r->end - r->p < (r->kind != '4' && r->max > 255 ? 2 : 1))
        return false;
    if (r->kind == '4') {
        *out = !(*r->p >> (7 - x % 8) & 1);
        r->p += x % 8 == 7 || x + 1 == width;
        return true;
    }
    *out = *r->p++;
    if (r->max > 255)
        *out = *out << 8 | *r->p++;
    return *out <= r->max;
}

md_status md_image__pnm(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err)
{
    reader r = { .p = (const uint8_t *)data + 2,
                 .end = (const uint8_t *)data + size,
                 .kind = ((const char *)data)[1] };
    int n = r.kind == '3' || r.kind == '6' ? 3 : 1;

    MD_TRY(read_header(&r, image, err));
    MD_TRY(md_image__alloc(image, pixels_max, err));
    for (size_t y = 0; y < (size_t)image->height; y++) {
        for (size_t x = 0; x < (size_t)image->width; x++) {
            uint8_t rgb[3];
            uint32_t v = 0;

            for (int c = 0; c < 3; c++) {
                if (c < n && !read_sample(&r, x, (size_t)image->width, &v))
                    return damaged(err);
                rgb[c] = (uint8_t)((v * 255 + r.max / 2) / r.max);
            }
            md_image__put(image, y * (size_t)image->width + x, rgb);
        }
    }
    return MD_OK;
}
