/* The values of a map in the order of a vocabulary, as one row; 0 for what the
 * map has not.  Keys that the vocabulary has not are left out. */
#include "ops/common/ml.h"
#include "tensor/container.h"

#define NUMBERS (MD_T(I64) | MD_T(F32) | MD_T(F64))

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .has_rank = true, .rank = 2 };
    md_labels words;
    md_dtype key;

    MD_TRY(
        md_ml__map(c, MD_T(STRING) | MD_T(I64), NUMBERS | MD_T(STRING), err));
    MD_TRY(md_labels__of(&words, c->node, "int64_vocabulary",
                         "string_vocabulary", err));
    key = c->in[0]->key;
    t.dtype = c->in[0]->dtype;
    if (key != MD_DTYPE_NONE && key != words.list.dtype)
        return md_fail(
            err, MD_INVALID, "the map has keys of type %s, the vocabulary %s",
            md_dtype_name(c->in[0]->key), md_dtype_name(words.list.dtype));
    t.dim[0] = MD_DIM(1);
    t.dim[1] = MD_DIM(words.n);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static void clear(md_tensor *out)
{
    for (int64_t i = 0; out->dtype == MD_DTYPE_STRING && i < md_tensor_n(out);
         i++)
        ((md_str *)out->data)[i] = (md_str){ "", 0 };
    if (out->dtype != MD_DTYPE_STRING)
        md_exec__zero(out);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *keys = md_container_item(x->in[0], 0);
    const md_tensor *values = md_container_item(x->in[0], 1);
    md_shape one = { 0 };
    md_labels words;
    md_lookup l;

    MD_TRY(md_labels__of(&words, x->node, "int64_vocabulary",
                         "string_vocabulary", err));
    MD_TRY(md_lookup__make(&l, &words.list, md_tensor_n(keys), ar, err));
    clear(out);
    for (int64_t i = 0; i < md_tensor_n(keys); i++) {
        md_place to = { .t = out, .at = md_lookup__find(&l, keys, i) };
        md_place from = { .t = (md_tensor *)values, .at = i };

        if (to.at >= 0)
            md_move(&to, &from, &one);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_dict_vectorizer = {
    .domain = "ai.onnx.ml",
    .name = "DictVectorizer",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
