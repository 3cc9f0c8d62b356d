/* Each element by a table of keys and values, or a default; NaN is a key from
 * version 4 on.  Version 1 has one list of strings, whose positions are the
 * other side. */
#include <math.h>

#include "ops/common/ml.h"

/* Types that keys and values can have. */
#define TYPES                                                                  \
    (MD_T(STRING) | MD_T(I64) | MD_T(F32) | MD_T(I32) | MD_T(I16) | MD_T(F64))

/* The one of these attributes that is there. */
static md_status one_of(md_tensor *out, const md_infer *c, const char *side,
                        const char *const names[4], md_error *err)
{
    int n = c->opset < 4 ? 3 : 4, given = 0;

    for (int i = 0; i < n; i++) {
        if (!md_node_attr(c->node, names[i]))
            continue;
        *out = md_ml__list(c->node, names[i]);
        given++;
    }
    if (given != 1)
        return md_fail(err, MD_INVALID, "%d lists of %s given, one expected",
                       given, side);
    if (out->dtype != MD_DTYPE_NONE && !(TYPES >> out->dtype & 1))
        return md_fail(
            err, MD_INVALID,
            "%s have element type %s, which LabelEncoder does not take", side,
            md_dtype_name(out->dtype));
    if (out->shape.rank != 1)
        return md_fail(err, MD_INVALID, "%s have rank %d, 1 expected", side,
                       out->shape.rank);
    return MD_OK;
}

static md_status tables(md_tensor *keys, md_tensor *values, const md_infer *c,
                        md_error *err)
{
    static const char *const key_names[4] = { "keys_strings", "keys_int64s",
                                              "keys_floats", "keys_tensor" };
    static const char *const value_names[4] = {
        "values_strings", "values_int64s", "values_floats", "values_tensor"
    };

    MD_TRY(one_of(keys, c, "keys", key_names, err));
    MD_TRY(one_of(values, c, "values", value_names, err));
    if (md_tensor_n(keys) != md_tensor_n(values))
        return md_fail(err, MD_INVALID, "%lld keys and %lld values given",
                       (long long)md_tensor_n(keys),
                       (long long)md_tensor_n(values));
    return MD_OK;
}

/* default_tensor, where it is given, is one value of the values' type. */
static md_status check_default(const md_infer *c, md_dtype type, md_error *err)
{
    const md_attr *a = md_node_attr(c->node, "default_tensor");

    if (!a || c->opset < 4)
        return MD_OK;
    if (a->v.t->dtype != type || md_tensor_n(a->v.t) != 1)
        return md_fail(
            err, MD_INVALID,
            "default_tensor has %lld elements of type %s, one of %s expected",
            (long long)md_tensor_n(a->v.t), md_dtype_name(a->v.t->dtype),
            md_dtype_name(type));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = *c->in[0];
    md_tensor keys, values;

    if (c->opset < 2) {
        MD_TRY(md_infer__need(c, 0, MD_T(STRING) | MD_T(I64), err));
        if (t.dtype != MD_DTYPE_NONE)
            t.dtype = t.dtype == MD_DTYPE_I64 ? MD_DTYPE_STRING : MD_DTYPE_I64;
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(tables(&keys, &values, c, err));
    MD_TRY(check_default(c, values.dtype, err));
    if (t.dtype != MD_DTYPE_NONE && t.dtype != keys.dtype)
        return md_fail(err, MD_INVALID,
                       "input 0 has element type %s, that of the keys is %s",
                       md_dtype_name(t.dtype), md_dtype_name(keys.dtype));
    t.dtype = values.dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Element i becomes the default. */
static void put_default(const md_exec *x, md_tensor *out, int64_t i)
{
    const md_attr *a = md_node_attr(x->node, "default_tensor");
    md_place to = { .t = out, .at = i }, from = { .t = NULL };
    md_shape one = { 0 };

    if (a && x->opset >= 4) {
        from.t = (md_tensor *)a->v.t;
        md_move(&to, &from, &one);
    } else if (out->dtype == MD_DTYPE_STRING) {
        a = md_node_attr(x->node, "default_string");
        ((md_str *)out->data)[i] = a ? a->v.s : (md_str){ "_Unused", 7 };
    } else if (md_dtype_is_float(out->dtype)) {
        md_tensor_set_f64(out, i,
                          md_node_attr_f(x->node, "default_float", -0.0F));
    } else {
        md_tensor_set_i64(out, i, md_node_attr_i(x->node, "default_int64", -1));
    }
}

/* Version 1: positions in classes_strings, and back. */
static md_status compute_positions(md_exec *x, md_tensor *out, md_arena *ar,
                                   md_error *err)
{
    md_tensor list = md_ml__list(x->node, "classes_strings");
    int64_t n = md_tensor_n(out), n_list = md_tensor_n(&list);
    md_lookup l;

    MD_TRY(md_lookup__make(&l, &list, out->dtype == MD_DTYPE_I64 ? n : 0, ar,
                           err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = out->dtype == MD_DTYPE_I64
                         ? md_lookup__find(&l, x->in[0], i)
                         : ((const int64_t *)x->in[0]->data)[i];

        if (at < 0 || at >= n_list)
            put_default(x, out, i);
        else if (out->dtype == MD_DTYPE_I64)
            ((int64_t *)out->data)[i] = at;
        else
            ((md_str *)out->data)[i] = ((const md_str *)list.data)[at];
    }
    return MD_OK;
}

static bool is_nan(const md_tensor *t, int64_t i)
{
    return md_dtype_is_float(t->dtype) && isnan(md_tensor_get_f64(t, i));
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_infer c = { .node = x->node, .opset = x->opset };
    int64_t n = md_tensor_n(out);
    md_tensor keys, values;
    md_shape one = { 0 };
    md_lookup l;

    if (x->opset < 2)
        return compute_positions(x, out, ar, err);
    MD_TRY(tables(&keys, &values, &c, err));
    MD_TRY(md_lookup__make(&l, &keys, n, ar, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = md_lookup__find(&l, x->in[0], i);
        md_place to = { .t = out, .at = i };
        md_place from = { .t = &values, .at = at };

        if (at < 0 || (x->opset < 4 && is_nan(x->in[0], i)))
            put_default(x, out, i);
        else
            md_move(&to, &from, &one);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_label_encoder = {
    .domain = "ai.onnx.ml",
    .name = "LabelEncoder",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
