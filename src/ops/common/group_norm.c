#include "ops/common/group_norm.h"

#include "ops/common/util.h"

/* Scale and shift have the type of the input. */
static md_status cast_like(md_compose *m, md_part v, md_part x, md_part *out,
                           md_error *err)
{
    *out = v;
    if (m->part[v].type.dtype == m->part[x].type.dtype)
        return MD_OK;
    return md_compose_binary(m, "CastLike", v, x, out, err);
}

static md_status check(const md_compose *m, int64_t activation, md_error *err)
{
    uint32_t types = MD_T(F32) | MD_T(F16);

    for (uint32_t i = 0; i < 3; i++)
        MD_TRY(
            md_compose_check(m, i, types, i == 0 ? 4 : 1, i == 0 ? 4 : 1, err));
    if (!md_node_attr(m->node, "groups"))
        return md_fail(err, MD_INVALID, "groups is missing");
    if (!md_node_attr(m->node, "activation"))
        return md_fail(err, MD_INVALID, "activation is missing");
    if (activation < 0 || activation > 1)
        return md_fail(err, MD_INVALID, "activation is %lld, 0 or 1 expected",
                       (long long)activation);
    return MD_OK;
}

md_status md_group_norm__emit(md_compose *m, md_part x, md_error *err)
{
    const md_node *n = m->node;
    bool last = md_node_attr_i(n, "channels_last", 1) != 0;
    int64_t activation = md_node_attr_i(n, "activation", 0);
    md_part scale, shift, y;

    MD_TRY(check(m, activation, err));
    MD_TRY(cast_like(m, md_compose_in(m, 1), x, &scale, err));
    MD_TRY(cast_like(m, md_compose_in(m, 2), x, &shift, err));
    if (last)
        MD_TRY(md_compose_to_nchw(m, x, &x, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "GroupNormalization",
            .in = { x, scale, shift },
            .n_in = 3,
            .attr = { MD_GIVE_I("num_groups", md_node_attr_i(n, "groups", 0)),
                      MD_GIVE_F("epsilon",
                                md_node_attr_f(n, "epsilon", 1e-5f)) },
            .n_attr = 2 },
        &y, err));
    if (activation == 1)
        MD_TRY(md_compose_unary(m, "Swish", y, &y, err));
    if (last)
        MD_TRY(md_compose_to_nhwc(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}
