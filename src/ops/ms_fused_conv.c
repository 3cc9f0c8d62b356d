/* com.microsoft's FusedConv: Conv, plus Z if there is one, and an activation. */
#include "ops/common/conv_fused.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_conv_fused__emit(m, md_compose_in(m, 0), md_compose_in(m, 3), &y,
                               err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_fused_conv = {
    .domain = "com.microsoft",
    .name = "FusedConv",
    .since = 1,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
