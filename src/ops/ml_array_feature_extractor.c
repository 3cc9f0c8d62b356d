/* Elements of the last axis by index; a vector counts as one row. */
#include "ops/common/ml.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = md_infer__dtype(c, 0) };
    const md_type *in = c->in[0];
    md_dim n;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE | MD_T(STRING), err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    if (c->in[1]->has_rank)
        MD_TRY(md_dim__span(c, &n, c->in[1], 0, c->in[1]->rank, err));
    else
        MD_TRY(md_infer__fresh(c, &n, err));
    if (in->has_rank) {
        t = *in;
        if (t.rank == 1)
            t.dim[0] = MD_DIM(1);
        t.rank = t.rank == 1 ? 2 : t.rank;
        t.dim[t.rank - 1] = n;
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    const int64_t *index = x->in[1]->data;
    int64_t size = in->shape.dim[in->shape.rank - 1];
    int64_t n = md_tensor_n(x->in[1]), rows = md_tensor_n(out) / n;
    md_shape column = { .rank = 1, .dim = { rows } };

    (void)ar;
    for (int64_t i = 0; i < n; i++) {
        md_place to = { .t = out, .at = i, .stride = { n } };
        md_place from = { .t = (md_tensor *)in,
                          .at = index[i],
                          .stride = { size } };

        if (index[i] < 0 || index[i] >= size)
            return md_fail(err, MD_INVALID, "index %lld, 0 to %lld expected",
                           (long long)index[i], (long long)size - 1);
        md_move(&to, &from, &column);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_array_feature_extractor = {
    .domain = "ai.onnx.ml",
    .name = "ArrayFeatureExtractor",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
