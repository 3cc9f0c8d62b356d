/* SequenceConstruct: its inputs, in order (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    t = *c->in[0];
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_ANY, err));
        MD_TRY(md_sequence__unite(c, &t, &t, c->in[i], err));
    }
    t = md_sequence__of(MD_KIND_SEQUENCE, &t);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    uint32_t n = x->node->n_in;
    md_tensor like = { .kind = MD_KIND_SEQUENCE };
    md_tensor list;
    md_status s = MD_OK;

    for (uint32_t i = 0; i < n; i++) {
        if (!md_exec_has(x, i) || x->in[i]->kind != MD_KIND_TENSOR ||
            x->in[i]->dtype != x->in[0]->dtype)
            return md_fail(err, MD_INVALID,
                           "input %u is missing or not of one type with the "
                           "others",
                           i);
    }
    like.dtype = x->in[0]->dtype;
    MD_TRY(md_container_alloc(&list, &like, n, x->alloc, err));
    for (uint32_t i = 0; i < n && s == MD_OK; i++)
        s = md_container_put(&list, i, x->in[i], err);
    if (s == MD_OK)
        return md_exec_give(x, 0, &list, err);
    md_tensor_release(&list);
    return s;
}

const md_op md_op_sequence_construct = {
    .domain = "",
    .name = "SequenceConstruct",
    .since = 11,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
