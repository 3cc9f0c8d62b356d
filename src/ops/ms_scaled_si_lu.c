/* com.microsoft's ScaledSiLU: z * sigmoid(z) of z = scale * X, each of them
 * rounded to X's type. */
#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x = md_compose_in(m, 0), scale = md_compose_in(m, 1), z, s, y;
    md_dtype type = m->part[x].type.dtype;

    MD_TRY(md_compose_check(m, 0, TYPES, 0, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 0, 0, err));
    MD_TRY(md_compose_cast(m, x, MD_DTYPE_F32, &z, err));
    if (scale == MD_PART_NONE)
        MD_TRY(md_compose_scalar(m, MD_DTYPE_F32,
                                 md_node_attr_f(m->node, "alpha", 1.0f), &scale,
                                 err));
    MD_TRY(md_compose_cast(m, scale, MD_DTYPE_F32, &scale, err));
    MD_TRY(md_compose_binary(m, "Mul", z, scale, &z, err));
    MD_TRY(md_compose_cast(m, z, type, &z, err));
    MD_TRY(md_compose_unary(m, "Sigmoid", z, &s, err));
    MD_TRY(md_compose_binary(m, "Mul", z, s, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_scaled_si_lu = {
    .domain = "com.microsoft",
    .name = "ScaledSiLU",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
