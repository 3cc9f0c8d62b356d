/* Indices of the elements that are not 0, one column each, in row-major
 * order: how many there are depends on data. */
#include "ops/common/util.h"

static bool is_set(const md_tensor *t, int64_t i)
{
    return md_tensor_get_f64(t, i) != 0.0;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64 };
    int64_t n = 0;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    if (c->in[0]->has_rank) {
        t.has_rank = true;
        t.rank = 2;
        t.dim[0] = MD_DIM(c->in[0]->rank);
        MD_TRY(md_infer__fresh(c, &t.dim[1], err));
    }
    if (c->cin[0]) {
        for (int64_t i = 0; i < md_tensor_n(c->cin[0]); i++)
            n += is_set(c->cin[0], i);
        t.dim[1] = MD_DIM(n);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    int64_t columns = out->shape.dim[1], at = 0;
    int64_t *to = out->data;
    int64_t index[MD_RANK_MAX] = { 0 };

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(in); i++) {
        for (int d = 0; d < in->shape.rank && is_set(in, i); d++)
            to[d * columns + at] = index[d];
        at += is_set(in, i);
        md_step_index(index, in->shape.dim, in->shape.rank);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_non_zero = {
    .domain = "",
    .name = "NonZero",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
