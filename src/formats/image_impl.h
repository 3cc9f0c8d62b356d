/* Decoders of single formats, behind md_image_decode. */
#ifndef MD_FORMATS_IMAGE_IMPL_H
#define MD_FORMATS_IMAGE_IMPL_H

#include "formats/image.h"

/* Pixels for the picture whose size is in `image`; MD_TOO_LARGE, MD_NOMEM. */
md_status md_image__alloc(md_image *image, size_t pixels_max, md_error *err);

/* RGB to gray: (19595 R + 38470 G + 7471 B) / 65536, ITU-R 601. */
uint8_t md_image__gray(const uint8_t rgb[3]);

/* image->channels and image->alloc are set; on failure pixels may be. */
md_status md_image__png(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err);
md_status md_image__jpeg(md_image *image, const void *data, size_t size,
                         size_t pixels_max, md_error *err);

#endif
