/* com.microsoft's SkipGroupNorm: GroupNorm of x + skip + bias; the sum is
 * output 1.  The skip is of x's shape, [N,1,1,C] or [N,C]. */
#include "ops/common/group_norm.h"
#include "ops/common/util.h"

static bool is_one(md_dim d)
{
    return md_dim_is_const(d) && d.k == 1;
}

/* Is the skip [N,1,1,C] beside an x with channels first?  With one channel it
 * would be [N,1,1,1], which needs no turning, and [N,1,H,W] is x's shape. */
static bool is_row(const md_compose *m, md_part skip)
{
    const md_type *x = &m->part[md_compose_in(m, 0)].type;
    const md_type *gamma = &m->part[md_compose_in(m, 1)].type;
    const md_type *s = &m->part[skip].type;

    if ((x->has_rank && x->rank > 1 && is_one(x->dim[1])) ||
        (gamma->has_rank && gamma->rank == 1 && is_one(gamma->dim[0])))
        return false;
    return is_one(s->dim[1]) &&
           (!md_dim_is_const(s->dim[2]) || is_one(s->dim[2]));
}

/* Channels are the last axis of skip and bias, whatever x's layout is. */
static md_status add_skip(md_compose *m, md_part *sum, md_error *err)
{
    md_part x = md_compose_in(m, 0), skip = md_compose_in(m, 3), axes;
    bool last = md_node_attr_i(m->node, "channels_last", 1) != 0;
    int64_t ones[2] = { 1, 2 };
    int rank;

    MD_TRY(md_compose_rank(m, skip, &rank, err));
    if (rank != 2 && rank != 4)
        return md_fail(err, MD_INVALID, "the skip has rank %d, 2 or 4 expected",
                       rank);
    if (rank == 2) {
        ones[0] += !last;
        ones[1] += !last;
        MD_TRY(md_compose_ints(m, ones, 2, &axes, err));
        MD_TRY(md_compose_binary(m, "Unsqueeze", skip, axes, &skip, err));
    } else if (!last && is_row(m, skip)) {
        MD_TRY(md_compose_to_nchw(m, skip, &skip, err));
    }
    return md_compose_binary(m, "Add", x, skip, sum, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part bias = md_compose_in(m, 4), sum, axes;
    const int64_t ones[2] = { 1, 2 };

    MD_TRY(add_skip(m, &sum, err));
    if (bias != MD_PART_NONE) {
        if (!md_node_attr_i(m->node, "channels_last", 1)) {
            MD_TRY(md_compose_ints(m, ones, 2, &axes, err));
            MD_TRY(md_compose_binary(m, "Unsqueeze", bias, axes, &bias, err));
        }
        MD_TRY(md_compose_binary(m, "Add", sum, bias, &sum, err));
    }
    MD_TRY(md_compose_alike(m, md_compose_in(m, 0), sum, "the sum", err));
    md_compose_give(m, 1, sum);
    return md_group_norm__emit(m, sum, err);
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_skip_group_norm = {
    .domain = "com.microsoft",
    .name = "SkipGroupNorm",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
