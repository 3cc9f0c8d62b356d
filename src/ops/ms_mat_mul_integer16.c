/* com.microsoft's MatMulInteger16: a product of 16-bit integers in 32 bits,
 * which wraps. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part a = md_compose_in(m, 0), b = md_compose_in(m, 1), y;
    md_dtype type = m->part[a].type.dtype;
    md_dtype wide = type == MD_DTYPE_U16   ? MD_DTYPE_U32
                    : type == MD_DTYPE_I16 ? MD_DTYPE_I32
                                           : MD_DTYPE_NONE;

    MD_TRY(md_compose_check(m, 0, MD_T(I16) | MD_T(U16), 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, MD_T(I16) | MD_T(U16), 1, MD_RANK_MAX, err));
    if (type != MD_DTYPE_NONE && m->part[b].type.dtype != MD_DTYPE_NONE &&
        type != m->part[b].type.dtype)
        return md_fail(err, MD_INVALID, "inputs differ in their signs");
    MD_TRY(md_compose_cast(m, a, wide, &a, err));
    MD_TRY(md_compose_cast(m, b, wide, &b, err));
    MD_TRY(md_compose_binary(m, "MatMul", a, b, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_mat_mul_integer16 = {
    .domain = "com.microsoft",
    .name = "MatMulInteger16",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
