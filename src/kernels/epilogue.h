/*
 * What a multiply-accumulate kernel does with a finished sum before it is
 * stored: y = act(sum + bias + residual).  Shared by gemm_f32, conv_f32,
 * conv_stem_f32 and dwconv_f32, and by the engine, which fuses nodes into it.
 *
 * Special values: NaN stays NaN under every activation, RELU and CLIP too
 * (they are selections that keep the operand when the comparison is
 * unordered).  +Inf and -Inf give the limit of the activation, so
 * SILU(-Inf) = -0 although x * sigmoid(x) would be NaN.
 */
#ifndef MD_KERNELS_EPILOGUE_H
#define MD_KERNELS_EPILOGUE_H

#include <stddef.h>

typedef enum md_act {
    MD_ACT_NONE,
    MD_ACT_RELU,         /* max(0, x) */
    MD_ACT_CLIP,         /* min(b, max(a, x)) */
    MD_ACT_SCALE,        /* a * x */
    MD_ACT_LEAKY_RELU,   /* x < 0 ? a * x : x */
    MD_ACT_SIGMOID,      /* 1 / (1 + exp(-x)) */
    MD_ACT_TANH,         /* tanh(x) */
    MD_ACT_SILU,         /* x * sigmoid(x) */
    MD_ACT_HARD_SIGMOID, /* max(0, min(1, a * x + b)) */
    MD_ACT_HARD_SWISH,   /* x * max(0, min(1, x / 6 + 0.5)) */
    MD_ACT_GELU_ERF,     /* x * (1 + erf(x / sqrt(2))) / 2 */
    MD_ACT_GELU_TANH,    /* the tanh approximation of it */
    MD_ACT_COUNT,
} md_act;

typedef struct md_epilogue {
    /* Per output channel or column, readable up to the next multiple of 16
     * (zeros there); NULL: none. */
    const float *bias;
    /* Same layout, shape and strides as the output, which it may be; added
     * before the activation; NULL: none. */
    const float *residual;
    md_act act;
    float a, b; /* parameters of act, see md_act */
} md_epilogue;

/* No bias, no residual, no activation. */
#define MD_EPILOGUE_INIT                                                       \
    {                                                                          \
        NULL, NULL, MD_ACT_NONE, 0, 0                                          \
    }

/* act(x) through libm: the definition that vector versions are tested
 * against.  Their error is at most 4 ulp or 3e-7, whichever is larger;
 * NONE, RELU, CLIP, SCALE, LEAKY_RELU and HARD_SIGMOID are equal to the bit. */
float md_act_apply(md_act act, float a, float b, float x);

#endif
