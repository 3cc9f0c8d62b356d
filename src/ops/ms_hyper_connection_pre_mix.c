/* com.microsoft's HyperConnectionPreMix: branches times their gates, added up and
 * scaled; in float32. */
#include "ops/common/branches.h"

static md_status recipe(md_compose *m, md_error *err)
{
    static const int64_t branch = -2;
    float scale = md_node_attr_f(m->node, "reduction_scale", 1.0f);
    md_part x, gates, axes, factor, y;

    MD_TRY(md_branches__split(m, 0, &x, err));
    MD_TRY(md_branches__gates(m, 1, x, &gates, err));
    MD_TRY(md_compose_binary(m, "Mul", x, gates, &y, err));
    MD_TRY(md_compose_ints(m, &branch, 1, &axes, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "ReduceSum",
                            .in = { y, axes },
                            .n_in = 2,
                            .attr = { MD_GIVE_I("keepdims", 0) },
                            .n_attr = 1 },
        &y, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_F32, scale, &factor, err));
    MD_TRY(md_compose_binary(m, "Mul", y, factor, &y, err));
    MD_TRY(md_compose_cast(m, y, m->part[md_compose_in(m, 0)].type.dtype, &y,
                           err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_hyper_connection_pre_mix = {
    .domain = "com.microsoft",
    .name = "HyperConnectionPreMix",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
