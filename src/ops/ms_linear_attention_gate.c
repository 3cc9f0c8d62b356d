/* com.microsoft's LinearAttentionGate: decay_scale * Softplus(a + dt_bias), and
 * Sigmoid(b); in float32. */
#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status give_beta(md_compose *m, md_dtype type, md_error *err)
{
    md_part b = md_compose_in(m, 3), y;

    if (b == MD_PART_NONE)
        return md_fail(err, MD_INVALID, "output beta without input b");
    MD_TRY(md_compose_cast(m, b, MD_DTYPE_F32, &y, err));
    MD_TRY(md_compose_unary(m, "Sigmoid", y, &y, err));
    MD_TRY(md_compose_cast(m, y, type, &y, err));
    md_compose_give(m, 1, y);
    return MD_OK;
}

static md_status check(const md_compose *m, md_error *err)
{
    MD_TRY(md_compose_check(m, 0, TYPES, 3, 3, err));
    MD_TRY(md_compose_check(m, 1, MD_T(F32), 1, 1, err));
    MD_TRY(md_compose_check(m, 2, MD_T(F32), 1, 1, err));
    MD_TRY(md_compose_check(m, 3, TYPES, 3, 3, err));
    MD_TRY(md_compose_same_dtype(m, 0, 3, err));
    if (md_compose_in(m, 3) != MD_PART_NONE)
        MD_TRY(md_compose_same(m, 0, 3, err));
    MD_TRY(md_compose_row(m, 0, 1, err));
    return md_compose_row(m, 0, 2, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part a = md_compose_in(m, 0), y;
    md_dtype type = m->part[a].type.dtype;

    MD_TRY(check(m, err));
    MD_TRY(md_compose_cast(m, a, MD_DTYPE_F32, &y, err));
    MD_TRY(md_compose_binary(m, "Add", y, md_compose_in(m, 1), &y, err));
    MD_TRY(md_compose_unary(m, "Softplus", y, &y, err));
    MD_TRY(md_compose_binary(m, "Mul", y, md_compose_in(m, 2), &y, err));
    MD_TRY(md_compose_cast(m, y, type, &y, err));
    md_compose_give(m, 0, y);
    return md_compose_wants(m, 1) ? give_beta(m, type, err) : MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_linear_attention_gate = {
    .domain = "com.microsoft",
    .name = "LinearAttentionGate",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
