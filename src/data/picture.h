/*
 * Pictures as a model's input: which axes are height, width and colors, how
 * pixels become numbers, and how a picture gets the input's size.
 *
 * A model's metadata may say more than its shape:
 *   modeld.image.scale  a number (default 1/255; 1 for integer inputs)
 *   modeld.image.mean, modeld.image.std   one number, or one per channel
 *   modeld.image.fit    "stretch" (default) or "pad"
 */
#ifndef MD_DATA_PICTURE_H
#define MD_DATA_PICTURE_H

#include "graph/graph.h"
#include "image/image.h"

typedef struct md_picture {
    bool accepted;
    int height_axis;  /* of the input's shape; width follows it */
    int channel_axis; /* -1: none, one channel */
    int channels;     /* 1 or 3 */
    bool pad;         /* place smaller pictures in the middle, not stretched */
    float scale;      /* input = (pixel * scale - mean) / std, pixel 0..255 */
    float mean[3];
    float std[3];
} md_picture;

/* From type and shape of a model's only input, free dims being -1: pictures are
 * taken by a number input [N,]H,W[,C] or [N,]C,H,W of 1 or 3 channels. */
void md_picture_guess(md_picture *out, md_dtype dtype, const md_shape *shape);

/* What the metadata says about an accepted one; MD_INVALID names the entry. */
md_status md_picture_read_meta(md_picture *p, const md_model *model,
                               md_error *err);

/* Values of the 256 pixels in channel c. */
void md_picture_table(float table[256], const md_picture *p, int c);

/* Decode a file and bring it to the size of an input of this shape; variable
 * sides keep the picture's own. */
md_status md_picture_decode(md_image *out, const md_picture *p,
                            const md_shape *shape, const void *data,
                            size_t size, size_t pixels_max,
                            const md_alloc *alloc, md_error *err);

/* Write one decoded picture to t, which has its elements and lies in the
 * input's layout. */
void md_picture_fill(md_tensor *t, const md_picture *p, const md_image *im);

#endif
