/* SequenceEmpty: a sequence of no tensors (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status element_type(md_dtype *out, const md_node *n, md_error *err)
{
    int64_t v = md_node_attr_i(n, "dtype", MD_DTYPE_F32);

    if (v <= 0 || v > INT32_MAX || !md_dtype_is_valid((int)v))
        return md_fail(err, MD_INVALID, "dtype %lld is no element type",
                       (long long)v);
    *out = (md_dtype)v;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .kind = MD_KIND_SEQUENCE };

    MD_TRY(element_type(&t.dtype, c->node, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor like = { .kind = MD_KIND_SEQUENCE };
    md_tensor list;

    MD_TRY(element_type(&like.dtype, x->node, err));
    MD_TRY(md_container_alloc(&list, &like, 0, x->alloc, err));
    return md_exec_give(x, 0, &list, err);
}

const md_op md_op_sequence_empty = {
    .domain = "",
    .name = "SequenceEmpty",
    .since = 11,
    .in_min = 0,
    .in_max = 0,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
