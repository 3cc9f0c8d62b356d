/* com.microsoft's BiasSplitGelu: of X plus a vector along the last axis the
 * left half times Gelu, by erf, of the right one. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    const md_type *x = &m->part[md_compose_in(m, 0)].type;
    md_part sum, half[2], gate, y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 3, 3, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 1, 1, err));
    MD_TRY(md_compose_row(m, 0, 1, err));
    if (x->has_rank && md_dim_is_const(x->dim[2]) && x->dim[2].k % 2)
        return md_fail(err, MD_INVALID,
                       "rows have %lld elements, an even number expected",
                       (long long)x->dim[2].k);
    MD_TRY(md_compose_binary(m, "Add", md_compose_in(m, 0), md_compose_in(m, 1),
                             &sum, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "Split",
            .opset = 18,
            .in = { sum },
            .n_in = 1,
            .n_out = 2,
            .attr = { MD_GIVE_I("axis", 2), MD_GIVE_I("num_outputs", 2) },
            .n_attr = 2 },
        half, err));
    MD_TRY(md_compose_unary(m, "Gelu", half[1], &gate, err));
    MD_TRY(md_compose_binary(m, "Mul", half[0], gate, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_bias_split_gelu = {
    .domain = "com.microsoft",
    .name = "BiasSplitGelu",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
