/* com.microsoft's NhwcFusedConv: FusedConv with channels last. */
#include "ops/common/conv_fused.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x, z = md_compose_in(m, 3), y;

    MD_TRY(md_compose_to_nchw(m, md_compose_in(m, 0), &x, err));
    if (z != MD_PART_NONE)
        MD_TRY(md_compose_to_nchw(m, z, &z, err));
    MD_TRY(md_conv_fused__emit(m, x, z, &y, err));
    MD_TRY(md_compose_to_nhwc(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_nhwc_fused_conv = {
    .domain = "com.microsoft",
    .name = "NhwcFusedConv",
    .since = 1,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
