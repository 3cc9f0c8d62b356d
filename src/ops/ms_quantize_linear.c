/* com.microsoft's QuantizeLinear: the standard's, for models of an opset that
 * lacks the 16-bit and 4-bit types. */
#include "ops/common/quantize.h"
#include "ops/lower.h"

const md_op md_op_ms_quantize_linear = {
    .domain = "com.microsoft",
    .name = "QuantizeLinear",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_quantize_linear__infer,
    .run = md_quantize_linear__run,
    .fast = &md_fast_quantize,
};
