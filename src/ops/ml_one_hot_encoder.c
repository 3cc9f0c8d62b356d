/* A new last axis with a 1 where the element's category is; numbers are cut
 * to integers before they are looked up. */
#include <math.h>

#include "ops/common/ml.h"
#include "tensor/float.h"

static md_status categories(md_tensor *out, const md_node *n, md_error *err)
{
    md_labels l;

    MD_TRY(md_labels__of(&l, n, "cats_int64s", "cats_strings", err));
    *out = l.list;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_type t = *in;
    md_tensor cats;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE | MD_T(STRING), err));
    MD_TRY(categories(&cats, c->node, err));
    if (in->dtype != MD_DTYPE_NONE &&
        (in->dtype == MD_DTYPE_STRING) != (cats.dtype == MD_DTYPE_STRING))
        return md_fail(err, MD_INVALID,
                       "input 0 has element type %s, categories %s",
                       md_dtype_name(in->dtype), md_dtype_name(cats.dtype));
    t.dtype = MD_DTYPE_F32;
    if (in->has_rank) {
        if (in->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED, "the result's rank is above %d",
                           MD_RANK_MAX);
        t.dim[t.rank++] = MD_DIM(md_tensor_n(&cats));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Position of the category of element i, -1 for none. */
static int64_t find(const md_lookup *l, const md_tensor *in, int64_t i)
{
    md_tensor one = { .dtype = MD_DTYPE_I64,
                      .shape = { .rank = 1, .dim = { 1 } } };
    int64_t whole;

    if (in->dtype == MD_DTYPE_STRING)
        return md_lookup__find(l, in, i);
    if (md_dtype_is_float(in->dtype)) {
        double v = md_tensor_get_f64(in, i);

        if (!(fabs(v) < 0x1p63))
            return -1;
        whole = md_f64_to_i64(v);
    } else {
        whole = md_tensor_get_i64(in, i);
    }
    one.data = &whole;
    return md_lookup__find(l, &one, 0);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool zeros = md_node_attr_i(x->node, "zeros", 1) != 0;
    int64_t n = md_tensor_n(x->in[0]), n_cats;
    float *y = out->data;
    md_tensor cats;
    md_lookup l;

    MD_TRY(categories(&cats, x->node, err));
    n_cats = md_tensor_n(&cats);
    MD_TRY(md_lookup__make(&l, &cats, n, ar, err));
    md_exec__zero(out);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = find(&l, x->in[0], i);

        if (at >= 0)
            y[i * n_cats + at] = 1.0F;
        else if (!zeros)
            return md_fail(err, MD_INVALID,
                           "element %lld is of no category and zeros is 0",
                           (long long)i);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_one_hot_encoder = {
    .domain = "ai.onnx.ml",
    .name = "OneHotEncoder",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
