/*
 * Smaller weights; activations stay float32
 * (docs/adr/0033-quantization-modes.md).
 *
 *   int8w, int4w  MatMul and Gemm: com.microsoft's MatMulNBits, blocks of codes
 *                 along what is summed over, each with a scale and a zero point;
 *                 of a few ranges the one of least squared error.  With data what
 *                 is lost by rounding a weight is made up for by those behind it
 *                 (E. Frantar et al., "GPTQ", 2023).  Conv and
 *                 ConvTranspose: int8, a scale for each output channel, behind a
 *                 DequantizeLinear.
 *   fp16, bf16    constants of 64 elements and more, behind a Cast to float32,
 *                 rounded to nearest even.  What float16 cannot hold stays.
 */
#ifndef MD_OPTIMIZE_WEIGHT_ONLY_H
#define MD_OPTIMIZE_WEIGHT_ONLY_H

#include "optimize/quantize.h"

typedef enum md_weight_mode {
    MD_WEIGHTS_INT8,
    MD_WEIGHTS_INT4,
    MD_WEIGHTS_FP16,
    MD_WEIGHTS_BF16,
} md_weight_mode;

enum {
    MD_WEIGHTS_BLOCK = 32 /* codes of a block, usually */
};

typedef struct md_weights_opts {
    md_weight_mode mode;
    int64_t block;          /* a power of two from 16 to 256 */
    const md_dataset *data; /* of the integer modes; NULL: none */
    md_pool *pool;
} md_weights_opts;

/*
 * Change `model` in place.
 * MD_UNSUPPORTED when nothing becomes smaller or the model is of an opset before
 * 13, MD_INVALID for weights that are not finite.  On failure the model can only
 * be freed.  Of the report n_nodes and n_left count constants for the floats,
 * n_corrected the products that data were used for.
 */
md_status md_quantize_weights(md_model *model, const md_weights_opts *opts,
                              md_quantize_report *report, md_error *err);

/*
 * Dynamic int8: MatMul and Gemm with constant weights multiply codes; those of
 * the weights have a scale for each output, those of the inputs are made while
 * running (DynamicQuantizeLinear, MatMulInteger), once for all that read a
 * value.  The same failures.
 */
md_status md_quantize_dynamic(md_model *model, md_quantize_report *report,
                              md_error *err);

#endif
