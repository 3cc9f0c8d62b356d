/*
 * Pictures: PNG, JPEG, WebP, BMP and PNM to 8-bit gray or RGB, and resizing.
 *
 * The size is checked against the limit before any pixel is decoded.  Error
 * texts are our own: those of the libraries may tell of their insides.
 */
#ifndef MD_IMAGE_IMAGE_H
#define MD_IMAGE_IMAGE_H

#include <stdbool.h>

#include "base/alloc.h"

typedef struct md_image {
    int width;
    int height;
    int channels;    /* 1: gray, 3: RGB */
    uint8_t *pixels; /* [height, width, channels] */
    const md_alloc *alloc;
} md_image;

enum {
    MD_IMAGE_PIXELS_MAX = 64 << 20 /* width * height */
};

/* Do these bytes begin like a picture that can be decoded? */
bool md_image_probe(const void *data, size_t size);

/*
 * Decode with 1 or 3 channels; color becomes gray by ITU-R 601, alpha is
 * dropped, 16 bits become 8.  Samples are taken as they are stored: no gamma,
 * no color profile, no EXIF orientation.  MD_MEDIA_TYPE when it is of no such format, MD_TOO_LARGE beyond
 * pixels_max, MD_INVALID when it is damaged.
 */
md_status md_image_decode(md_image *out, const void *data, size_t size,
                          int channels, size_t pixels_max,
                          const md_alloc *alloc, md_error *err);

/* RGB to gray: (19595 R + 38470 G + 7471 B) / 65536, ITU-R 601. */
uint8_t md_image_gray(const uint8_t rgb[3]);

/* Triangle filter, widened when shrinking, so every pixel counts. */
md_status md_image_resize(md_image *out, const md_image *in, int width,
                          int height, md_error *err);

/* In the middle of a black picture of that size, which is not smaller. */
md_status md_image_pad(md_image *out, const md_image *in, int width, int height,
                       md_error *err);

/* Free the pixels; a zeroed image is allowed. */
void md_image_release(md_image *image);

#endif
