/*
 * Integer depthwise 2-D convolution, NC16 to NC16: one filter per channel.
 * Exact sums and requantization as in gemm_s8; pixels outside the input count
 * as x_zero.  The sums take unsigned input; a signed one is moved by 128 while
 * it is copied:  start[c] = bias[c] - (x_zero + (signed ? 128 : 0)) * sum w[c].
 */
#ifndef MD_KERNELS_DWCONV_S8_H
#define MD_KERNELS_DWCONV_S8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/conv_shape.h"
#include "kernels/requant_s8.h"

enum {
    MD_DW_PIXELS = 64
}; /* most pixels of one call */

/* Which taps stand side by side as bytes; 0 where fewer than four do. */
typedef enum md_dw_quads {
    MD_DW_ANY,    /* four, one after the other */
    MD_DW_ROWS,   /* a row of the window, 3 or 4 neighbours in x */
    MD_DW_COLUMNS /* a column of a 3 x 3 window, where neighbours in x are
                   * neighbours in the output, too */
} md_dw_quads;

/*
 * A run of pixels of one channel block: acc[p][c] = start[c] + sum over t of
 * taps[t][at + p * stride + c] * w[t][c], bytes of taps unsigned.  Weights come
 * in two forms: words whose high half is 0 (so that vpmaddwd multiplies just
 * once), and bytes of up to four taps side by side (for vpdpbusd).
 */
typedef struct md_dw_tile {
    int32_t *acc;               /* [pixels][16] */
    const uint8_t *const *taps; /* [n_taps up to a multiple of 4]; the rest
                                 * are readable, too, and have weight 0 */
    int64_t n_taps;
    md_dw_quads form;     /* of quads */
    int64_t row;          /* taps of a row of the window */
    int64_t at;           /* bytes: of the first pixel, in all taps */
    int64_t stride;       /* from pixel to pixel */
    const int32_t *words; /* [n_taps][16] */
    const int8_t *quads;  /* [rows, columns or n_taps / 4 rounded up][16][4] */
    const int32_t *start;
    int pixels; /* 1 .. MD_DW_PIXELS */
} md_dw_tile;

typedef void md_dw_s8_fn(const md_dw_tile *t);

typedef struct md_dwconv_s8_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_dw_s8_fn *run;
} md_dwconv_s8_kernel;

#define K(isa, need) md_dw_s8_fn md_dw_s8__##isa;
#include "kernels/dwconv_s8.def"
#undef K

extern const md_dwconv_s8_kernel md_dwconv_s8_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_dwconv_s8_kernel *md_dwconv_s8_select(uint32_t cpu_flags);

/* Everything is borrowed; ic == oc.  y must not overlap x; res may be y. */
typedef struct md_dwconv_s8_args {
    const md_dwconv_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    md_conv_shape shape;
    const void *x; /* NC16, u8 or s8 */
    bool x_signed;
    int32_t x_zero;
    const void *w;        /* packed */
    const int32_t *start; /* [c up to a multiple of 16] */
    void *y;              /* NC16, elements of rq.out */
    const void *res;      /* NC16 bytes shaped as y (Q8), or NULL */
    md_requant rq;
} md_dwconv_s8_args;

/* Bytes of packed weights.  Of the shape, channels, window, dilation_w and
 * stride_w count here and below. */
size_t md_dwconv_s8_packed_size(const md_conv_shape *s);

/* Pack w[c][kh][kw] into `out`, aligned for int32; start as above, [c up to a
 * multiple of 16]; bias NULL: 0. */
void md_dwconv_s8_pack(void *out, int32_t *start, const int8_t *w,
                       const int32_t *bias, int32_t x_zero, bool x_signed,
                       const md_conv_shape *s);

/* Independent pieces of work; any order, any thread. */
int64_t md_dwconv_s8_n_chunks(const md_dwconv_s8_args *c);

/* Bytes of scratch that one md_dwconv_s8_run needs. */
size_t md_dwconv_s8_scratch_size(const md_dwconv_s8_args *c);

/* scratch: 64-byte aligned, one per thread. */
void md_dwconv_s8_run(const md_dwconv_s8_args *c, int64_t chunk, void *scratch);

#endif
