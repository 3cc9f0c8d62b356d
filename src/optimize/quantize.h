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
} md_quantize_opts;

#define MD_QUANTIZE_OPTS_INIT                                                  \
    {                                                                          \
        MD_CALIB_PERCENTILE, NULL                                              \
    }

typedef struct md_quantize_report {
    uint32_t n_nodes;       /* Conv, Gemm, MatMul made integer */
    uint32_t n_left;        /* of them and ConvTranspose, left in float */
    uint32_t n_activations; /* values that were given parameters */
    int64_t n_samples;      /* of calibration */
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

#endif
