/* com.microsoft's BiasSoftmax: softmax over all axes from `axis` on of data
 * plus a bias that broadcasts to it. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part data = md_compose_in(m, 0), sum, y;
    int rank, axis;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 0, MD_RANK_MAX, err));
    MD_TRY(md_compose_rank(m, data, &rank, err));
    if (!md_node_attr(m->node, "is_inner_broadcast"))
        return md_fail(err, MD_INVALID, "is_inner_broadcast is missing");
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(m->node, "axis", 1), rank,
                             err));
    MD_TRY(md_compose_within(m, 1, 0, err));
    MD_TRY(md_compose_binary(m, "Add", data, md_compose_in(m, 1), &sum, err));
    MD_TRY(
        md_compose_emit(m,
                        &(md_compose_step){ .op = "Softmax",
                                            .opset = 11, /* all axes */
                                            .in = { sum },
                                            .n_in = 1,
                                            .attr = { MD_GIVE_I("axis", axis) },
                                            .n_attr = 1 },
                        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_bias_softmax = {
    .domain = "com.microsoft",
    .name = "BiasSoftmax",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
