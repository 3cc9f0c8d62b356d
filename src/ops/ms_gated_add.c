/* com.microsoft's GatedAdd: X + Y * gate, where each row has one gate. */
#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* One gate for each row of x. */
static md_status check_gate(md_compose *m, md_error *err)
{
    md_part x = md_compose_in(m, 0), gate = md_compose_in(m, 2);
    int rank, wanted;

    MD_TRY(md_compose_rank(m, x, &wanted, err));
    MD_TRY(md_compose_rank(m, gate, &rank, err));
    if (rank != wanted)
        return md_fail(err, MD_INVALID, "the gate has rank %d, %d expected",
                       rank, wanted);
    for (int d = 0; d < rank; d++)
        MD_TRY(
            md_compose_equal(m, m->part[gate].type.dim[d],
                             d < rank - 1 ? m->part[x].type.dim[d] : MD_DIM(1),
                             "a dimension of the gate", err));
    return MD_OK;
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part product, y;

    for (uint32_t i = 0; i < 3; i++)
        MD_TRY(md_compose_check(m, i, TYPES, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_same(m, 0, 1, err));
    MD_TRY(md_compose_same_dtype(m, 0, 1, err));
    MD_TRY(md_compose_same_dtype(m, 0, 2, err));
    MD_TRY(check_gate(m, err));
    if (md_compose_in(m, 3) != MD_PART_NONE)
        return md_fail(err, MD_UNSUPPORTED,
                       "gate_weight, which is of CUDA only");
    MD_TRY(md_compose_binary(m, "Mul", md_compose_in(m, 1), md_compose_in(m, 2),
                             &product, err));
    MD_TRY(md_compose_binary(m, "Add", md_compose_in(m, 0), product, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_gated_add = {
    .domain = "com.microsoft",
    .name = "GatedAdd",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
