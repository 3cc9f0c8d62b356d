/* Ones on diagonal k, zeros elsewhere. */
#include "base/size.h"
#include "ops/common/util.h"
#include "ops/grad.h"

#define TYPES (MD_TYPES_NUMBER | MD_T(BOOL))

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t dtype;

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    dtype = md_node_attr_i(c->node, "dtype", c->in[0]->dtype);
    if (dtype < 0 || dtype >= MD_DTYPE_N ||
        ((dtype || md_node_attr(c->node, "dtype")) && !(TYPES >> dtype & 1)))
        return md_fail(err, MD_INVALID, "dtype is %lld, a number type expected",
                       (long long)dtype);
    md_infer__like(c, 0, 0, (md_dtype)dtype);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t k = md_node_attr_i(x->node, "k", 0);
    int64_t rows = out->shape.dim[0], columns = out->shape.dim[1];

    (void)ar;
    (void)err;
    md_exec__zero(out);
    if (k <= -rows || k >= columns)
        return MD_OK;
    for (int64_t i = md_max_i64(-k, 0); i < rows && i + k < columns; i++)
        md_tensor_set_i64(out, i * columns + i + k, 1);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_eye_like = {
    .domain = "",
    .name = "EyeLike",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = md_grad_zero,
};
