/* com.microsoft's QuickGelu: x * sigmoid(alpha * x). */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    float alpha = md_node_attr_f(m->node, "alpha", 1.702f);
    md_part y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 0, MD_RANK_MAX, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Swish",
                            .in = { md_compose_in(m, 0) },
                            .n_in = 1,
                            .attr = { MD_GIVE_F("alpha", alpha) },
                            .n_attr = 1 },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_quick_gelu = {
    .domain = "com.microsoft",
    .name = "QuickGelu",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
