/* OptionalHasElement: does an optional hold something?  Since version 18 what
 * is no optional does, and an absent input does not (ONNX operators, versions
 * 15 and 18). */
#include "ops/common/sequence.h"

static md_status check(bool has, md_kind kind, int64_t opset, md_error *err)
{
    if (opset < 18 && (!has || kind != MD_KIND_OPTIONAL))
        return md_fail(err, MD_INVALID, "input 0 is no optional");
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type t = { .dtype = MD_DTYPE_BOOL, .has_rank = true };
    bool has = md_infer_has(c, 0);

    MD_TRY(check(has, has ? c->in[0]->kind : MD_KIND_TENSOR, c->opset, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    bool has = md_exec_has(x, 0);
    md_shape scalar = { 0, { 0 } };
    md_tensor *out;

    MD_TRY(check(has, has ? x->in[0]->kind : MD_KIND_TENSOR, x->opset, err));
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_BOOL, &scalar, &out, err));
    if (has && x->in[0]->kind == MD_KIND_OPTIONAL)
        has = md_tensor_n(x->in[0]) > 0;
    if (out)
        md_tensor_set_i64(out, 0, has);
    return MD_OK;
}

const md_op md_op_optional_has_element = {
    .domain = "",
    .name = "OptionalHasElement",
    .since = 15,
    .in_min = 0,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
