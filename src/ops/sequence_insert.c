/* SequenceInsert: a sequence with one tensor more, in front of a position or
 * at the end (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type item, t;

    MD_TRY(md_sequence__need(c, 0, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_ANY, err));
    MD_TRY(md_sequence__check_position(c, 2, err));
    item = md_sequence__item(c->in[0]);
    MD_TRY(md_sequence__unite(c, &t, &item, c->in[1], err));
    t = md_sequence__of(MD_KIND_SEQUENCE, &t);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *seq = x->in[0], *t = x->in[1];
    md_tensor list;
    int64_t n, at;
    md_status s;

    if (!seq || !t || seq->kind != MD_KIND_SEQUENCE ||
        t->kind != MD_KIND_TENSOR || seq->of != MD_KIND_TENSOR ||
        seq->dtype != t->dtype)
        return md_fail(err, MD_INVALID,
                       "a sequence and a tensor of its element type expected");
    n = md_tensor_n(seq);
    MD_TRY(md_sequence__position(&at, x, 2, n, true, n, err));
    MD_TRY(md_container_alloc(&list, seq, n + 1, x->alloc, err));
    s = md_container_put(&list, at, t, err);
    if (s != MD_OK) {
        md_tensor_release(&list);
        return s;
    }
    for (int64_t i = 0; i < n; i++)
        md_container_share(&list, i + (i >= at), seq, i);
    return md_exec_give(x, 0, &list, err);
}

const md_op md_op_sequence_insert = {
    .domain = "",
    .name = "SequenceInsert",
    .since = 11,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
