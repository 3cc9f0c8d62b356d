/*
 * What is learned: the float initializers of a model that play the part of
 * weights in its operators, and the running statistics of its normalizations.
 *
 * A constant is a parameter by the input that it is: the weights and bias of
 * products and convolutions, scale and bias of normalizations, the slope of
 * PRelu, the table of Gather; and what Add adds to something learned, when it
 * has more than one element.  Other constants (sizes, bounds, the scaling of
 * pixels) stay as they are.
 */
#ifndef MD_TRAIN_PARAM_H
#define MD_TRAIN_PARAM_H

#include "graph/graph.h"

typedef enum md_param_kind {
    MD_PARAM_KERNEL, /* of a product or convolution */
    MD_PARAM_TABLE,  /* of an embedding */
    MD_PARAM_SCALE,
    MD_PARAM_BIAS,
    MD_PARAM_SLOPE,
    MD_PARAM_MEAN, /* of BatchNormalization: not learned by gradients */
    MD_PARAM_VARIANCE,
} md_param_kind;

typedef struct md_param {
    md_value_id id; /* of the model's main graph */
    const char *name;
    md_param_kind kind;
    md_shape shape;
    int64_t n;
    int64_t fan_in, fan_out; /* of kernels and tables */
    const float *from;       /* its elements in the model */
} md_param;

typedef struct md_params {
    md_param *p; /* in the order in which the graph reads them */
    uint32_t n, cap;
} md_params;

/* Has a gradient? */
static inline bool md_param_is_learned(md_param_kind kind)
{
    return kind != MD_PARAM_MEAN && kind != MD_PARAM_VARIANCE;
}

/* Find the parameters of a model without functions (md_model_inline); they lie
 * in `ar`.  MD_INVALID when none is learned, naming quantized models as such. */
md_status md_params_find(md_params *out, const md_model *m, md_arena *ar,
                         md_error *err);

/*
 * Draw the elements of a parameter, the same for (seed, index) everywhere:
 * kernels uniform in +-sqrt(6 / fan_in) for convolutions (K. He, X. Zhang, S.
 * Ren, J. Sun, 2015), in +-sqrt(6 / (fan_in + fan_out)) for products (X.
 * Glorot, Y. Bengio, 2010), tables in +-0.05; scales and variances 1, slopes
 * 0.25, others 0.
 */
void md_param_draw(float *to, const md_param *p, uint64_t seed, uint64_t index);

#endif
