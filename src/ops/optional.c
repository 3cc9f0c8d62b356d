/* Optional: its input, or nothing of the type that the attribute names (ONNX
 * operators, version 15). */
#include "ops/common/sequence.h"

static md_status element_type(md_type *out, const md_node *n, md_error *err)
{
    const md_attr *a = md_node_attr(n, "type");

    if (!a || a->type != MD_ATTR_TYPE_PROTO)
        return md_fail(err, MD_INVALID,
                       "an input or the attribute 'type' expected");
    *out = *a->v.type_proto;
    return MD_OK;
}

static md_status check_kind(md_kind kind, md_error *err)
{
    if (kind == MD_KIND_TENSOR || kind == MD_KIND_SEQUENCE)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "an optional of kind %s, a tensor or a sequence expected",
                   md_kind_name(kind));
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    if (md_infer_has(c, 0))
        t = *c->in[0];
    else
        MD_TRY(element_type(&t, c->node, err));
    MD_TRY(check_kind(t.kind, err));
    t = md_sequence__of(MD_KIND_OPTIONAL, &t);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    bool has = md_exec_has(x, 0);
    md_tensor like = { .kind = MD_KIND_OPTIONAL };
    md_tensor o;
    md_type t;
    md_status s = MD_OK;

    if (has)
        t = md_type_of_value(x->in[0]);
    else
        MD_TRY(element_type(&t, x->node, err));
    MD_TRY(check_kind(t.kind, err));
    like.of = t.kind;
    like.dtype = t.dtype;
    MD_TRY(md_container_alloc(&o, &like, has, x->alloc, err));
    if (has && t.kind == MD_KIND_TENSOR) {
        s = md_container_put(&o, 0, x->in[0], err);
    } else if (has) {
        md_tensor list;

        s = md_container_clone(&list, x->in[0], x->alloc, err);
        if (s == MD_OK) {
            s = md_container_give(&o, 0, &list, err);
            md_tensor_release(&list);
        }
    }
    if (s == MD_OK)
        return md_exec_give(x, 0, &o, err);
    md_tensor_release(&o);
    return s;
}

const md_op md_op_optional = {
    .domain = "",
    .name = "Optional",
    .since = 15,
    .in_min = 0,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
