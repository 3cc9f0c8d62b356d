/* com.microsoft's BiasGelu: Gelu, by erf, of A plus a vector along the last
 * axis. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part sum, y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 1, 1, err));
    MD_TRY(md_compose_row(m, 0, 1, err));
    MD_TRY(md_compose_binary(m, "Add", md_compose_in(m, 0), md_compose_in(m, 1),
                             &sum, err));
    MD_TRY(md_compose_unary(m, "Gelu", sum, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_bias_gelu = {
    .domain = "com.microsoft",
    .name = "BiasGelu",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
