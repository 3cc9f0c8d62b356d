/*
 * Moving elements without changing them.  Elements are 1, 2, 4 or 8 bytes;
 * source and destination never overlap; strides are in elements.
 */
#ifndef MD_KERNELS_REORDER_H
#define MD_KERNELS_REORDER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Planes of pixels, [n][c][pixels] in any order of strides (NCHW: c_stride =
 * pixels, pixel_stride = 1; NHWC: 1 and c), to and from NC16:
 * [n][c / 16 rounded up][pixels][16].  The lanes past c are written as zeros
 * and never read.
 */
typedef struct md_nc16_args {
    int64_t n, c, pixels;
    int64_t n_stride, c_stride, pixel_stride; /* of the plain layout */
    int size;                                 /* bytes per element */
} md_nc16_args;

void md_nc16_pack(void *nc16, const void *plain, const md_nc16_args *a);
void md_nc16_unpack(void *plain, const void *nc16, const md_nc16_args *a);

/* The same in parts, one for each block of channels, in any order. */
int64_t md_nc16_n_parts(const md_nc16_args *a);
void md_nc16_pack_part(void *nc16, const void *plain, const md_nc16_args *a,
                       int64_t part);
void md_nc16_unpack_part(void *plain, const void *nc16, const md_nc16_args *a,
                         int64_t part);

enum {
    MD_TRANSPOSE_RANK = 16
};

/* Elements at strided places: n[i] steps of y[i] and x[i] elements along axis
 * i < rank <= MD_TRANSPOSE_RANK.  Strides of x may be 0 or negative; those of
 * y such that no place is written twice. */
typedef struct md_reorder_axes {
    int rank;
    int64_t n[MD_TRANSPOSE_RANK];
    int64_t x[MD_TRANSPOSE_RANK];
    int64_t y[MD_TRANSPOSE_RANK];
} md_reorder_axes;

/* Drop axes of 1 and make one of axes that lie behind each other on both
 * sides: the same elements, in rows as long as they can be. */
void md_reorder_merge(md_reorder_axes *a);

/* Copy them all; size may be 16 here, too.  The axes need not be merged. */
void md_reorder(void *y, const void *x, const md_reorder_axes *a, int size);

/* y, contiguous with dims[rank], y[i0, i1, ...] = x[i0 * strides[0] + ...];
 * strides may be 0 or negative.  rank <= MD_TRANSPOSE_RANK. */
void md_transpose(void *y, const void *x, int rank, const int64_t *dims,
                  const int64_t *strides, int size);

/* `rows` rows of row_size bytes; strides in bytes.  For concat and split. */
void md_copy_rows(void *y, int64_t y_stride, const void *x, int64_t x_stride,
                  int64_t rows, size_t row_size);

/* y[p][i][j] = x[p][map_h[i]][map_w[j]]: nearest-neighbour resize.  A pixel is
 * pixel_size bytes (16 elements in NC16, one in NCHW); the maps hold indices
 * in range. */
typedef struct md_resize_args {
    int64_t planes, ih, iw, oh, ow;
    const int32_t *map_h; /* [oh] */
    const int32_t *map_w; /* [ow] */
    size_t pixel_size;
} md_resize_args;

void md_resize_nearest(void *y, const void *x, const md_resize_args *a);

#endif
