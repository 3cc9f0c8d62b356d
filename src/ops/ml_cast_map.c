/* The values of a map in the order of its keys, as one row, in another type;
 * SPARSE: each in the column that its key is. */
#include <stdlib.h>
#include <string.h>

#include "ops/common/convert.h"
#include "ops/common/ml.h"
#include "tensor/container.h"

static md_status word_of(int *out, const md_node *n, const char *name,
                         const char *const words[3], md_error *err)
{
    const char *given = md_node_attr_s(n, name, words[0]);

    for (*out = 0; *out < 3 && words[*out]; ++*out) {
        if (strcmp(given, words[*out]) == 0)
            return MD_OK;
    }
    return md_fail(err, MD_INVALID, "%s is '%s', %s, %s%s%s expected", name,
                   given, words[0], words[1], words[2] ? " or " : "",
                   words[2] ? words[2] : "");
}

static md_status form_of(const md_node *n, md_dtype *dtype, bool *sparse,
                         md_error *err)
{
    static const char *const casts[3] = { "TO_FLOAT", "TO_STRING", "TO_INT64" };
    static const char *const forms[3] = { "DENSE", "SPARSE", NULL };
    static const md_dtype types[3] = { MD_DTYPE_F32, MD_DTYPE_STRING,
                                       MD_DTYPE_I64 };
    int cast, form;

    MD_TRY(word_of(&cast, n, "cast_to", casts, err));
    MD_TRY(word_of(&form, n, "map_form", forms, err));
    *dtype = types[cast];
    *sparse = form == 1;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t n = md_node_attr_i(c->node, "max_map", 1);
    md_type t = { .has_rank = true, .rank = 2 };
    bool sparse;

    MD_TRY(md_ml__map(c, MD_T(I64), MD_T(STRING) | MD_T(F32), err));
    MD_TRY(form_of(c->node, &t.dtype, &sparse, err));
    t.dim[0] = MD_DIM(1);
    if (sparse && n < 1)
        return md_fail(err, MD_INVALID, "max_map is %lld", (long long)n);
    if (sparse)
        t.dim[1] = MD_DIM(n);
    else if (c->cin[0])
        t.dim[1] = MD_DIM(md_tensor_n(md_container_item(c->cin[0], 0)));
    else
        MD_TRY(md_infer__fresh(c, &t.dim[1], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct place {
    int64_t key, at; /* column, and where the value is */
} place;

static int by_key(const void *a, const void *b)
{
    const place *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

/* The columns of the items, in the order of their keys. */
static md_status find_places(place **out, const md_tensor *keys, bool sparse,
                             int64_t n_cols, md_arena *ar, md_error *err)
{
    int64_t n = md_tensor_n(keys);
    place *p;

    MD_TRY(md_exec__scratch(&p, ar, n, sizeof(*p), err));
    for (int64_t i = 0; i < n; i++) {
        p[i] = (place){ ((const int64_t *)keys->data)[i], i };
        if (sparse && (p[i].key < 0 || p[i].key >= n_cols))
            return md_fail(err, MD_INVALID, "key %lld, 0 to %lld expected",
                           (long long)p[i].key, (long long)n_cols - 1);
    }
    if (n)
        qsort(p, (size_t)n, sizeof(*p), by_key);
    *out = p;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *keys = md_container_item(x->in[0], 0);
    const md_tensor *values = md_container_item(x->in[0], 1);
    md_tensor cast = { .dtype = out->dtype, .shape = values->shape };
    md_exec y = *x;
    md_shape one = { 0 };
    md_dtype dtype;
    bool sparse;
    place *p = NULL;

    MD_TRY(form_of(x->node, &dtype, &sparse, err));
    MD_TRY(find_places(&p, keys, sparse, md_tensor_n(out), ar, err));
    MD_TRY(md_exec__scratch(&cast.data, ar, md_tensor_n(values),
                            md_dtype_bits(out->dtype) / 8, err));
    y.in = &values;
    MD_TRY(md_convert__compute(&y, &cast, ar, err));
    for (int64_t i = 0; out->dtype == MD_DTYPE_STRING && i < md_tensor_n(out);
         i++)
        ((md_str *)out->data)[i] = (md_str){ "", 0 };
    if (out->dtype != MD_DTYPE_STRING)
        md_exec__zero(out);
    for (int64_t i = 0; i < md_tensor_n(keys); i++) {
        md_place to = { .t = out, .at = sparse ? p[i].key : i };
        md_place from = { .t = &cast, .at = p[i].at };

        md_move(&to, &from, &one);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_cast_map = {
    .domain = "ai.onnx.ml",
    .name = "CastMap",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
