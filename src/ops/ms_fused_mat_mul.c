/* com.microsoft's FusedMatMul: alpha * A' * B'. */
#include "ops/common/matmul_fused.h"
#include "ops/lower.h"

#define recipe md_matmul_fused__recipe

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_fused_mat_mul = {
    .domain = "com.microsoft",
    .name = "FusedMatMul",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = md_matmul_fused__macs,
    .fast = &md_fast_matmul,
    .compose = md_matmul_fused__expand,
};
