/* SequenceErase: a sequence without the tensor at a position, or without the
 * last one (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_sequence__need(c, 0, err));
    MD_TRY(md_sequence__check_position(c, 1, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *seq = x->in[0];
    md_tensor list;
    int64_t n, at;

    if (!seq || seq->kind != MD_KIND_SEQUENCE)
        return md_fail(err, MD_INVALID, "input 0 is no sequence");
    n = md_tensor_n(seq);
    if (n == 0)
        return md_fail(err, MD_INVALID,
                       "nothing to erase in an empty sequence");
    MD_TRY(md_sequence__position(&at, x, 1, n, false, n - 1, err));
    MD_TRY(md_container_alloc(&list, seq, n - 1, x->alloc, err));
    for (int64_t i = 0; i < n - 1; i++)
        md_container_share(&list, i, seq, i + (i >= at));
    return md_exec_give(x, 0, &list, err);
}

const md_op md_op_sequence_erase = {
    .domain = "",
    .name = "SequenceErase",
    .since = 11,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
