/*
 * Static post-training quantization: a float model becomes a QDQ model that
 * every ONNX runtime reads and modeld executes in integers.
 *
 *   q = clamp(round(x * s + b)), in ONNX's form q = round(x / scale) + zero,
 *   s = 1 / scale, b = zero (QuantizeLinear, opset 13).
 *
 * Activations: uint8 with a zero point, ranges from calibration.  Weights of
 * Conv, Gemm and MatMul: int8, symmetric in [-127, 127], one scale per output
 * channel.  Biases: int32 at scale_x * scale_w, for which the scale of tiny
 * weights may be larger than they need.  BatchNormalization goes into
 * the convolution before it first.  (Jacob et al., "Quantization and Training
 * of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018.)
 */
#ifndef MD_OPTIMIZE_QUANTIZE_H
#define MD_OPTIMIZE_QUANTIZE_H

#include "optimize/calibrate.h"

typedef struct md_quantize_opts {
    md_calib_method method;
    md_pool *pool; /* borrowed; NULL: one thread */
    /* Products that stay in float, by the name of the node, of what it gives or
     * of its weights. */
    const char *const *keep;
    uint32_t n_keep;
    /* Change biases, layer after layer, so that the mean of what each gives is
     * that of the float model (M. Nagel et al., "Data-Free Quantization Through
     * Weight Equalization and Bias Correction", 2019, here with data). */
    bool correct_bias;
    /* Before, of equalize.h: by weights, and by data with this share (0: not). */
    bool equalize;
    double smooth;
} md_quantize_opts;

#define MD_QUANTIZE_OPTS_INIT                                                  \
    {                                                                          \
        .method = MD_CALIB_PERCENTILE                                          \
    }

typedef struct md_quantize_report {
    uint32_t n_nodes;       /* Conv, Gemm, MatMul made integer */
    uint32_t n_left;        /* of them and ConvTranspose, left in float */
    uint32_t n_activations; /* values that were given parameters */
    int64_t n_samples;      /* of calibration */
    uint32_t n_corrected;   /* biases */
    uint32_t n_equalized;   /* values whose channels were scaled */
    uint64_t weights_float; /* bytes of the quantized weights before ... */
    uint64_t weights_int;   /* ... and after */
} md_quantize_report;

/* Quantize `model` in place with calibration data for its inputs.  On failure
 * the model may be half changed and can only be freed.  MD_UNSUPPORTED when
 * nothing in it can be quantized, MD_INVALID for weights or values that are
 * not finite.  opts and report may be NULL. */
md_status md_quantize(md_model *model, const md_dataset *data,
                      const md_quantize_opts *opts, md_quantize_report *report,
                      md_error *err);

/* How much the model depends on one product, quantized alone. */
typedef struct md_sensitivity {
    const char *name; /* of the product, what `keep` takes */
    double snr;       /* of the first float output, 10 log10(sum y^2 / sum (y -
                       * y')^2), in dB; infinite where nothing changes */
} md_sensitivity;

/*
 * Measure each product of `model`, which is not changed, on data; in the order
 * of the graph, *n of them, that lie in `ar`.  The failures of md_quantize.
 */
md_status md_quantize_sensitivity(md_sensitivity **out, uint32_t *n,
                                  const md_model *model, const md_dataset *data,
                                  const md_quantize_opts *opts, md_arena *ar,
                                  md_error *err);

/* Inside the module: correct.c.  Change the biases of `m`, which md_quantize
 * made of `original` with BatchNormalization folded in. */
md_status md_quantize__correct(md_model *m, const md_model *original,
                               const md_dataset *data, md_pool *pool,
                               uint32_t *n, md_error *err);

/* Is n a product that can be computed in integers? */
bool md_quantize__is_product(const md_graph *g, const md_node *n);

/* Make a model ready for it: what stands between is folded. */
md_status md_quantize__prepare(md_graph *g, md_error *err);

#endif
