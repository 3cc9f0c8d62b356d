#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_attr *value = md_node_attr(c->node, "value");
    md_type t = { .dtype = MD_DTYPE_F32 };
    md_dims dims;

    if (value && value->type == MD_ATTR_TENSOR) {
        if (md_tensor_n(value->v.t) != 1)
            return md_fail(err, MD_INVALID,
                           "value has %lld elements, 1 expected",
                           (long long)md_tensor_n(value->v.t));
        t.dtype = value->v.t->dtype;
        if (t.dtype == MD_DTYPE_STRING)
            return md_fail(err, MD_INVALID,
                           "value is a string, a number expected");
    }
    MD_TRY(md_infer__need(c, 0, MD_T(I64), err));
    MD_TRY(md_infer__shape_dims(c, 0, &dims, err));
    MD_TRY(md_infer__give_dims(c, &t, &dims, err));
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_attr *value = md_node_attr(x->node, "value");
    md_place to = { .t = out }, from;

    (void)ar;
    (void)err;
    if (!value || value->type != MD_ATTR_TENSOR) {
        md_exec__zero(out);
        return MD_OK;
    }
    from = (md_place){ .t = (md_tensor *)value->v.t };
    md_shape_strides(to.stride, &out->shape);
    md_exec__move(x, &to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_constant_of_shape = {
    .domain = "",
    .name = "ConstantOfShape",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
