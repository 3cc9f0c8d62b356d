/* OptionalGetElement: what an optional holds; since version 18 a value that is
 * no optional is its own (ONNX operators, versions 15 and 18). */
#include "ops/common/sequence.h"

static md_status check_kind(md_kind kind, int64_t opset, md_error *err)
{
    if (kind == MD_KIND_OPTIONAL ||
        (opset >= 18 && (kind == MD_KIND_TENSOR || kind == MD_KIND_SEQUENCE)))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "input 0 is of kind %s, an optional "
                   "expected",
                   md_kind_name(kind));
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    if (!md_infer_has(c, 0))
        return md_fail(err, MD_INVALID, "input 0 is missing");
    MD_TRY(check_kind(c->in[0]->kind, c->opset, err));
    t = *c->in[0];
    if (t.kind == MD_KIND_OPTIONAL)
        t = md_sequence__item(&t);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *v = x->in[0];
    md_tensor t;

    if (!md_exec_has(x, 0))
        return md_fail(err, MD_INVALID, "input 0 is missing");
    MD_TRY(check_kind(v->kind, x->opset, err));
    if (v->kind == MD_KIND_OPTIONAL && md_tensor_n(v) == 0)
        return md_fail(err, MD_INVALID, "the optional is empty");
    if (v->kind == MD_KIND_OPTIONAL)
        v = md_container_item(v, 0);
    if (v->kind == MD_KIND_TENSOR)
        MD_TRY(md_tensor_copy(&t, v, x->alloc, err));
    else
        MD_TRY(md_container_clone(&t, v, x->alloc, err));
    return md_exec_give(x, 0, &t, err);
}

const md_op md_op_optional_get_element = {
    .domain = "",
    .name = "OptionalGetElement",
    .since = 15,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
