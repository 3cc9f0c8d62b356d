/*
 * com.microsoft's GatedRelativePositionBias: rel_pos times a factor for each
 * batch element, head and query: gate_u * (gate_r * eco_a - 1) + 2, the gates
 * the sigmoids of sums over the halves of a row that the query is projected to.
 */
#include "ops/common/util.h"
#include "ops/compose.h"

/* sigmoid of the sum over each half of the last axis: two gates [B,N,S,1]. */
static md_status gates(md_compose *m, md_part rows, md_part *gate,
                       md_error *err)
{
    static const int64_t last[1] = { -1 };
    md_part half[2], axes, sum;

    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "Split",
            .opset = 18,
            .in = { rows },
            .n_in = 1,
            .n_out = 2,
            .attr = { MD_GIVE_I("axis", -1), MD_GIVE_I("num_outputs", 2) },
            .n_attr = 2 },
        half, err));
    MD_TRY(md_compose_ints(m, last, 1, &axes, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(md_compose_binary(m, "ReduceSum", half[i], axes, &sum, err));
        MD_TRY(md_compose_unary(m, "Sigmoid", sum, &gate[i], err));
    }
    return MD_OK;
}

/* The queries of each head: [B,N,S,H]. */
static md_status split_heads(md_compose *m, md_part *out, md_error *err)
{
    static const int64_t perm[4] = { 0, 2, 1, 3 };
    int64_t shape[4] = { 0, 0, md_node_attr_i(m->node, "num_heads", 0), -1 };
    md_part sum, to, rows;

    MD_TRY(md_compose_binary(m, "Add", md_compose_in(m, 0), md_compose_in(m, 1),
                             &sum, err));
    MD_TRY(md_compose_ints(m, shape, 4, &to, err));
    MD_TRY(md_compose_binary(m, "Reshape", sum, to, &rows, err));
    return md_compose_transpose(m, rows, perm, out, err);
}

static md_status check(const md_compose *m, md_error *err)
{
    static const int ranks[] = { 3, 1, 4, 2, 1, 4 };
    int64_t heads = md_node_attr_i(m->node, "num_heads", 0);
    const md_type *w = &m->part[md_compose_in(m, 3)].type;

    for (uint32_t i = 0; i < 6; i++)
        MD_TRY(md_compose_check(m, i, MD_T(F32) | MD_T(F16), ranks[i], ranks[i],
                                err));
    if (md_compose_in(m, 6) != MD_PART_NONE)
        return md_fail(err, MD_UNSUPPORTED, "token_offset");
    if (heads < 1 || heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)heads);
    if (w->has_rank && md_dim_is_const(w->dim[1]) && w->dim[1].k % 2)
        return md_fail(err, MD_INVALID,
                       "the weight has %lld columns, an even number expected",
                       (long long)w->dim[1].k);
    return MD_OK;
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part q, rows, gate[2], one, two, v;
    md_dtype type = m->part[md_compose_in(m, 0)].type.dtype;

    MD_TRY(check(m, err));
    MD_TRY(split_heads(m, &q, err));
    MD_TRY(md_compose_binary(m, "MatMul", q, md_compose_in(m, 3), &rows, err));
    MD_TRY(md_compose_binary(m, "Add", rows, md_compose_in(m, 4), &rows, err));
    MD_TRY(gates(m, rows, gate, err));
    MD_TRY(md_compose_scalar(m, type, 1.0, &one, err));
    MD_TRY(md_compose_scalar(m, type, 2.0, &two, err));
    MD_TRY(md_compose_binary(m, "Mul", gate[1], md_compose_in(m, 5), &v, err));
    MD_TRY(md_compose_binary(m, "Sub", v, one, &v, err));
    MD_TRY(md_compose_binary(m, "Mul", gate[0], v, &v, err));
    MD_TRY(md_compose_binary(m, "Add", v, two, &v, err));
    MD_TRY(md_compose_binary(m, "Mul", v, md_compose_in(m, 2), &v, err));
    md_compose_give(m, 0, v);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_gated_relative_position_bias = {
    .domain = "com.microsoft",
    .name = "GatedRelativePositionBias",
    .since = 1,
    .in_min = 6,
    .in_max = 7,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
