/*
 * Windows of convolution and pooling: attributes, output sizes, and loops
 * over three spatial axes (fewer ones are padded in front with 1).
 */
#ifndef MD_OPS_COMMON_WINDOW_H
#define MD_OPS_COMMON_WINDOW_H

#include "ops/common/util.h"

enum {
    MD_SPATIAL_MAX = 3
};

typedef struct md_window {
    int n; /* spatial axes, 1 to 3 */
    enum {
        MD_PAD_GIVEN,
        MD_PAD_SAME_UPPER,
        MD_PAD_SAME_LOWER,
        MD_PAD_VALID
    } auto_pad;
    bool ceil; /* round output sizes up */
    int64_t kernel[MD_SPATIAL_MAX];
    int64_t stride[MD_SPATIAL_MAX];
    int64_t dilation[MD_SPATIAL_MAX];
    int64_t lo[MD_SPATIAL_MAX]; /* padding in front and behind */
    int64_t hi[MD_SPATIAL_MAX];
} md_window;

/*
 * Attributes of a node with n spatial axes; kernel_shape is `kernel` where
 * the attribute is absent (NULL: it is required).  MD_INVALID for lists of a
 * wrong length and values out of range.
 */
md_status md_window__parse(md_window *out, const md_node *n, int n_axes,
                           const int64_t *kernel, md_error *err);

/* Size of output axis i for input size `in`; fills lo and hi of that axis
 * when auto_pad asks for it and `in` is a constant. */
md_status md_window__out(const md_infer *c, md_window *w, int i, md_dim in,
                         md_dim *out, md_error *err);

/* Bring w and three sizes to three axes. */
void md_window__widen(md_window *w);
void md_window__sizes(int64_t out[MD_SPATIAL_MAX], const md_shape *s);

/* Range [lo, hi) of output positions whose tap k (of axis i) lies inside the
 * input of size `in`, and the input position of output 0. */
void md_window__range(const md_window *w, int i, int64_t k, int64_t in,
                      int64_t out, int64_t *lo, int64_t *hi, int64_t *at);

#endif
