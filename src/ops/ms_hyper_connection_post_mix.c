/*
 * com.microsoft's HyperConnectionPostMix: branches mixed by a matrix (or left as
 * they are), and the result of a block added to each by its gate:
 *
 *   y[k] = sum of stream_mix[c][k] * streams[c], + post_mix[k] * block_output
 */
#include "ops/common/branches.h"

/* stream_mix is [..., C, C] for streams [..., C, H]. */
static md_status mix(md_compose *m, md_part *x, md_error *err)
{
    static const char what[] = "a dimension of stream_mix";
    md_part by = md_compose_in(m, 3);
    int64_t perm[MD_RANK_MAX] = { 0 };
    int rank, full;

    if (by == MD_PART_NONE)
        return MD_OK;
    MD_TRY(md_compose_check(m, 3, MD_BRANCHES_TYPES, 2, MD_RANK_MAX, err));
    MD_TRY(md_compose_cast(m, by, MD_DTYPE_F32, &by, err));
    MD_TRY(md_compose_rank(m, by, &rank, err));
    MD_TRY(md_compose_rank(m, *x, &full, err));
    if (rank != full)
        return md_fail(err, MD_INVALID, "stream_mix has rank %d, %d expected",
                       rank, full);
    MD_TRY(md_branches__lead(m, by, *x, rank - 1, what, err));
    MD_TRY(md_compose_equal(m, m->part[by].type.dim[rank - 1],
                            m->part[*x].type.dim[rank - 2], what, err));
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    MD_TRY(md_compose_transpose(m, by, perm, &by, err));
    return md_compose_binary(m, "MatMul", by, *x, x, err);
}

/* A block's output is [..., H] for streams [..., C, H]. */
static md_status check_block(md_compose *m, md_part block, md_part x,
                             md_error *err)
{
    static const char what[] = "a dimension of block_output";
    int rank, full;

    MD_TRY(md_compose_rank(m, block, &rank, err));
    MD_TRY(md_compose_rank(m, x, &full, err));
    if (rank != full - 1)
        return md_fail(err, MD_INVALID, "block_output has rank %d, %d expected",
                       rank, full - 1);
    MD_TRY(md_branches__lead(m, block, x, rank - 1, what, err));
    return md_compose_equal(m, m->part[block].type.dim[rank - 1],
                            m->part[x].type.dim[full - 1], what, err);
}

/* The block's output as one branch, in float32. */
static md_status take_block(md_compose *m, md_part x, md_part *out,
                            md_error *err)
{
    static const int64_t branch = -2;
    md_part axes;

    MD_TRY(md_compose_check(m, 1, MD_BRANCHES_TYPES, 1, MD_RANK_MAX - 1, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, 1), MD_DTYPE_F32, out, err));
    MD_TRY(check_block(m, *out, x, err));
    MD_TRY(md_compose_ints(m, &branch, 1, &axes, err));
    return md_compose_binary(m, "Unsqueeze", *out, axes, out, err);
}

/* One for streams and results, one for what mixes them. */
static md_status check_types(const md_compose *m, md_error *err)
{
    MD_TRY(md_compose_same_dtype(m, 0, 1, err));
    return md_compose_same_dtype(m, 2, 3, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x, block, gates, y, streams = md_compose_in(m, 0);

    MD_TRY(check_types(m, err));
    MD_TRY(md_branches__split(m, 0, &x, err));
    MD_TRY(md_branches__gates(m, 2, x, &gates, err));
    MD_TRY(take_block(m, x, &block, err));
    MD_TRY(md_compose_binary(m, "Mul", gates, block, &block, err));
    MD_TRY(mix(m, &x, err));
    MD_TRY(md_compose_binary(m, "Add", x, block, &y, err));
    MD_TRY(md_compose_reshape_like(m, y, streams, &y, err));
    MD_TRY(md_compose_cast(m, y, m->part[streams].type.dtype, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_hyper_connection_post_mix = {
    .domain = "com.microsoft",
    .name = "HyperConnectionPostMix",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
