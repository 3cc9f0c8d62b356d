/* com.microsoft's BiasAdd: X plus a vector along the last axis, plus skip. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part sum, y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 3, 3, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 1, 1, err));
    MD_TRY(md_compose_check(m, 2, MD_TYPES_FLOAT, 3, 3, err));
    MD_TRY(md_compose_row(m, 0, 1, err));
    MD_TRY(md_compose_same(m, 0, 2, err));
    MD_TRY(md_compose_binary(m, "Add", md_compose_in(m, 0), md_compose_in(m, 1),
                             &sum, err));
    MD_TRY(md_compose_binary(m, "Add", sum, md_compose_in(m, 2), &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_bias_add = {
    .domain = "com.microsoft",
    .name = "BiasAdd",
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
