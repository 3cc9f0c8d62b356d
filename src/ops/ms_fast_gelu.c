/* com.microsoft's FastGelu: Gelu, by tanh, of X plus a vector along the last
 * axis, if there is one. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x = md_compose_in(m, 0), y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 0, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 1, 1, err));
    if (md_compose_in(m, 1) != MD_PART_NONE) {
        MD_TRY(md_compose_row(m, 0, 1, err));
        MD_TRY(md_compose_binary(m, "Add", x, md_compose_in(m, 1), &x, err));
    }
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Gelu",
                            .in = { x },
                            .n_in = 1,
                            .attr = { MD_GIVE_S("approximate", "tanh") },
                            .n_attr = 1 },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_fast_gelu = {
    .domain = "com.microsoft",
    .name = "FastGelu",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
