/* SequenceAt: the tensor at a position (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_sequence__need(c, 0, err));
    if (!md_infer_has(c, 1))
        return md_fail(err, MD_INVALID, "input 1 of SequenceAt is missing");
    MD_TRY(md_sequence__check_position(c, 1, err));
    t = md_sequence__item(c->in[0]);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *seq = x->in[0];
    md_tensor t;
    int64_t at;

    if (!seq || seq->kind != MD_KIND_SEQUENCE || !md_exec_has(x, 1))
        return md_fail(err, MD_INVALID, "a sequence and a position expected");
    MD_TRY(md_sequence__position(&at, x, 1, md_tensor_n(seq), false, 0, err));
    MD_TRY(md_tensor_copy(&t, md_container_item(seq, at), x->alloc, err));
    return md_exec_give(x, 0, &t, err);
}

const md_op md_op_sequence_at = {
    .domain = "",
    .name = "SequenceAt",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
