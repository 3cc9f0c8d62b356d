/* com.microsoft's GroupNorm: channels in groups normalized, scaled and shifted
 * one by one, and SiLU if asked for. */
#include "ops/common/group_norm.h"

static md_status recipe(md_compose *m, md_error *err)
{
    return md_group_norm__emit(m, md_compose_in(m, 0), err);
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_group_norm = {
    .domain = "com.microsoft",
    .name = "GroupNorm",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
