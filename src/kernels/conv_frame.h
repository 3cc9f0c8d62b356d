/*
 * Geometry shared by the drivers of the float convolutions: which part of the
 * input some output rows need, and how wide a frame is, the copy of that part
 * with zeros at both ends and split by phase (see conv_f32.c).  Only for
 * kernels/.
 */
#ifndef MD_KERNELS_CONV_FRAME_H
#define MD_KERNELS_CONV_FRAME_H

#include <stdint.h>

#include "kernels/conv_shape.h"

/* Columns that the windows of a row cover, from column -pad_left on. */
int64_t md_conv_frame__covered(const md_conv_shape *s);

/* Pixels of one row of a frame: stride_w phases of equal width. */
int64_t md_conv_frame__width(const md_conv_shape *s);

/* The most input rows that `rows` output rows need. */
int64_t md_conv_frame__rows(const md_conv_shape *s, int64_t rows);

/* Input rows [*iy0, *iy1), clipped to the image, for output rows [row0,
 * row1). */
void md_conv_frame__input(const md_conv_shape *s, int64_t row0, int64_t row1,
                          int64_t *iy0, int64_t *iy1);

/* Of the window of output row oy, rows [*ky0, *ky1) lie inside the image. */
void md_conv_frame__inside(const md_conv_shape *s, int64_t oy, int64_t *ky0,
                           int64_t *ky1);

#endif
