/* SequenceLength: the number of tensors (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type t = { .dtype = MD_DTYPE_I64, .has_rank = true };

    MD_TRY(md_sequence__need(c, 0, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_shape scalar = { 0, { 0 } };
    md_tensor *out;

    if (!md_exec_has(x, 0) || x->in[0]->kind != MD_KIND_SEQUENCE)
        return md_fail(err, MD_INVALID, "input 0 is no sequence");
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_I64, &scalar, &out, err));
    if (out)
        md_tensor_set_i64(out, 0, md_tensor_n(x->in[0]));
    return MD_OK;
}

const md_op md_op_sequence_length = {
    .domain = "",
    .name = "SequenceLength",
    .since = 11,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
