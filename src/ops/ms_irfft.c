/*
 * com.microsoft's Irfft: the inverse of Rfft, divided by the number of elements,
 * for sizes of the last axis that are even.  The half that Rfft left out is the
 * conjugate of the other, backwards.
 */
#include "ops/common/spectrum.h"

/* The whole of the last signal axis of *y [..., m, 2]: [..., 2 m - 2, 2]. */
static md_status complete(md_compose *m, md_part *y, int axis, md_error *err)
{
    static const int64_t from = -2, to = 0, step = -1;
    const int64_t at = axis;
    md_part start, end, along, back, sign, half;
    md_dtype type = m->part[*y].type.dtype;

    MD_TRY(md_compose_ints(m, &from, 1, &start, err));
    MD_TRY(md_compose_ints(m, &to, 1, &end, err));
    MD_TRY(md_compose_ints(m, &at, 1, &along, err));
    MD_TRY(md_compose_ints(m, &step, 1, &back, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "Slice", .in = { *y, start, end, along, back }, .n_in = 5 },
        &half, err));
    MD_TRY(md_compose_ints(m, (const int64_t[]){ 1, -1 }, 2, &sign, err));
    MD_TRY(md_compose_cast(m, sign, type, &sign, err));
    MD_TRY(md_compose_binary(m, "Mul", half, sign, &half, err));
    return md_compose_emit(
        m,
        &(md_compose_step){ .op = "Concat",
                            .in = { *y, half },
                            .n_in = 2,
                            .attr = { MD_GIVE_I("axis", at) },
                            .n_attr = 1 },
        y, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y = md_compose_in(m, 0), zero;
    int64_t n;
    int rank;

    MD_TRY(md_spectrum__check(m, 1, &n, &rank, err));
    for (int64_t i = n - 1; i >= 1; i--)
        MD_TRY(md_spectrum__transform(m, &y, rank - 2 - i, true, false, err));
    MD_TRY(complete(m, &y, rank - 2, err));
    MD_TRY(md_spectrum__transform(m, &y, rank - 2, true, false, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_I64, 0, &zero, err));
    MD_TRY(
        md_compose_emit(m,
                        &(md_compose_step){ .op = "Gather",
                                            .in = { y, zero },
                                            .n_in = 2,
                                            .attr = { MD_GIVE_I("axis", -1) },
                                            .n_attr = 1 },
                        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_irfft = {
    .domain = "com.microsoft",
    .name = "Irfft",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
