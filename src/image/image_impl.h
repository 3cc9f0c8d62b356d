/* Decoders of single formats, behind md_image_decode. */
#ifndef MD_IMAGE_IMAGE_IMPL_H
#define MD_IMAGE_IMAGE_IMPL_H

#include "image/image.h"

/* Pixels for the picture whose size is in `image`; MD_TOO_LARGE, MD_NOMEM. */
md_status md_image__alloc(md_image *image, size_t pixels_max, md_error *err);

/* Pixel i becomes this color, or its gray. */
void md_image__put(md_image *image, size_t i, const uint8_t rgb[3]);

/* image->channels and image->alloc are set; on failure pixels may be. */
md_status md_image__png(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err);
md_status md_image__jpeg(md_image *image, const void *data, size_t size,
                         size_t pixels_max, md_error *err);
md_status md_image__webp(md_image *image, const void *data, size_t size,
                         size_t pixels_max, md_error *err);
md_status md_image__bmp(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err);
md_status md_image__pnm(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err);

#endif
