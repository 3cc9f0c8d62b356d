/* Strings to integers or integers to strings, by two lists side by side. */
#include "ops/common/ml.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_tensor ints = md_ml__list(c->node, "cats_int64s");
    md_type t = *c->in[0];

    MD_TRY(md_infer__need(c, 0, MD_T(STRING) | MD_T(I64), err));
    MD_TRY(md_ml__length(c->node, "cats_strings", md_tensor_n(&ints), err));
    if (t.dtype != MD_DTYPE_NONE)
        t.dtype = t.dtype == MD_DTYPE_I64 ? MD_DTYPE_STRING : MD_DTYPE_I64;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_str default_string(const md_node *n)
{
    const md_attr *a = md_node_attr(n, "default_string");

    return a ? a->v.s : (md_str){ "_Unused", 7 };
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_tensor ints = md_ml__list(x->node, "cats_int64s");
    md_tensor strings = md_ml__list(x->node, "cats_strings");
    bool to_int = out->dtype == MD_DTYPE_I64;
    int64_t n = md_tensor_n(out);
    md_lookup l;

    MD_TRY(md_lookup__make(&l, to_int ? &strings : &ints, n, ar, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = md_lookup__find(&l, x->in[0], i);

        if (to_int)
            ((int64_t *)out->data)[i] =
                at < 0 ? md_node_attr_i(x->node, "default_int64", -1)
                       : ((const int64_t *)ints.data)[at];
        else
            ((md_str *)out->data)[i] = at < 0
                                           ? default_string(x->node)
                                           : ((const md_str *)strings.data)[at];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_category_mapper = {
    .domain = "ai.onnx.ml",
    .name = "CategoryMapper",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
