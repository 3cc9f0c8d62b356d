/* com.microsoft's DequantizeLinear: the standard's, for models of an opset that
 * lacks the 16-bit and 4-bit types. */
#include "ops/common/quantize.h"
#include "ops/lower.h"

const md_op md_op_ms_dequantize_linear = {
    .domain = "com.microsoft",
    .name = "DequantizeLinear",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_dequantize_linear__infer,
    .run = md_dequantize_linear__run,
    .fast = &md_fast_dequantize,
};
