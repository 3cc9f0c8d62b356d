/* com.microsoft's NhwcConv: Conv with channels last. */
#include "ops/common/conv_fused.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x, y;

    MD_TRY(md_compose_to_nchw(m, md_compose_in(m, 0), &x, err));
    MD_TRY(md_conv_fused__emit(m, x, MD_PART_NONE, &y, err));
    MD_TRY(md_compose_to_nhwc(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_nhwc_conv = {
    .domain = "com.microsoft",
    .name = "NhwcConv",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
