/* Sizes of a 2-D convolution or pooling window, as the ONNX operators have
 * them. */
#ifndef MD_KERNELS_CONV_SHAPE_H
#define MD_KERNELS_CONV_SHAPE_H

#include <stdint.h>

typedef struct md_conv_shape {
    int64_t n, ic, ih, iw;
    int64_t oc, oh, ow;
    int64_t kh, kw;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left; /* below and right: what oh and ow imply */
    int64_t dilation_h, dilation_w;
} md_conv_shape;

/* Whether there is nothing to compute. */
static inline int md_conv_shape_is_empty(const md_conv_shape *s)
{
    return s->n == 0 || s->oc == 0 || s->oh == 0 || s->ow == 0;
}

/* Whether every pixel of every window lies inside the input. */
static inline int md_conv_shape_is_inside(const md_conv_shape *s)
{
    const int64_t last_h =
        (s->oh - 1) * s->stride_h - s->pad_top + (s->kh - 1) * s->dilation_h;
    const int64_t last_w =
        (s->ow - 1) * s->stride_w - s->pad_left + (s->kw - 1) * s->dilation_w;

    return s->pad_top <= 0 && s->pad_left <= 0 && last_h < s->ih &&
           last_w < s->iw;
}

#endif
