/*
 * Max and average pooling, windows as in a convolution; pixels outside the
 * input take no part (but may be counted by an average).
 *
 * A window's sum is the sum of its rows' sums, in order, so that every level
 * gives the same bits.  An 8-bit average is exact until it is requantized:
 *     t = (float)(sum - n_inside * x_zero) * (mult / (float)count)
 * A window without any pixel gives -Inf (8 bit: q_min) or the average 0.
 */
#ifndef MD_KERNELS_POOL2D_H
#define MD_KERNELS_POOL2D_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/conv_shape.h"
#include "kernels/requant_s8.h"

/* rows x cols pixels of 16 lanes; strides in bytes; rows, cols >= 1, and for
 * 8-bit sums rows * cols <= 2^23. */
typedef struct md_pool2d_window {
    const void *x;
    int64_t rows, cols;
    int64_t row_stride, col_stride;
} md_pool2d_window;

/* All write 16 lanes.  max gives the later operand when unordered; it is given
 * n windows beside each other, each `step` bytes behind the one before. */
typedef struct md_pool2d_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    void (*max_f32)(float *y, const md_pool2d_window *w, int64_t n,
                    int64_t step);
    void (*sum_f32)(float *y, const md_pool2d_window *w);
    void (*max_q8)(uint8_t *y, const md_pool2d_window *w, bool is_signed,
                   int64_t n, int64_t step);
    void (*sum_q8)(int32_t *y, const md_pool2d_window *w, bool is_signed);
} md_pool2d_kernel;

#define K(isa, need)                                                           \
    void md_pool2d_max_f32__##isa(float *y, const md_pool2d_window *w,         \
                                  int64_t n, int64_t step);                    \
    void md_pool2d_sum_f32__##isa(float *y, const md_pool2d_window *w);        \
    void md_pool2d_max_q8__##isa(uint8_t *y, const md_pool2d_window *w,        \
                                 bool is_signed, int64_t n, int64_t step);     \
    void md_pool2d_sum_q8__##isa(int32_t *y, const md_pool2d_window *w,        \
                                 bool is_signed);
#include "kernels/pool2d.def"
#undef K

extern const md_pool2d_kernel md_pool2d_kernels[]; /* max_f32 NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_pool2d_kernel *md_pool2d_select(uint32_t cpu_flags);

typedef enum md_pool2d_type {
    MD_POOL2D_F32,
    MD_POOL2D_U8,
    MD_POOL2D_S8,
} md_pool2d_type;

/* Everything is borrowed; shape.ic == shape.oc. */
typedef struct md_pool2d_args {
    const md_pool2d_kernel *kernel;
    const md_requant_s8_kernel *requant; /* 8-bit averages only */
    md_conv_shape shape;
    int64_t pad_bottom, pad_right; /* only for count_pad */
    bool average;                  /* else maximum */
    bool count_pad; /* an average counts the padding (but no pixel past it) */
    md_pool2d_type type;
    const void *x; /* NC16 */
    void *y;       /* NC16 of the same type */
    bool y_rows;   /* y is [n][c] instead; oh == ow == 1 */
    /* 8-bit averages: x_scale / y_scale, and the output step; rq.mult is not
     * read, rq.res not used. */
    float mult;
    int32_t x_zero;
    md_requant rq;
} md_pool2d_args;

/* Independent pieces of work; any order, any thread. */
int64_t md_pool2d_n_chunks(const md_pool2d_args *p);

void md_pool2d_run(const md_pool2d_args *p, int64_t chunk);

/* The same on row-major NCHW floats (type F32, y_rows false); chunks are
 * planes: shape.n * shape.oc of them. */
void md_pool2d_nchw_run(const md_pool2d_args *p, int64_t chunk);

#endif
