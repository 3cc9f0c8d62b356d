/* (X - offset) * scale, of each feature or one for all. */
#include "ops/common/ml.h"

/* The list is empty, or one value for all features or one for each. */
static md_status check_list(const md_infer *c, const char *name, md_error *err)
{
    md_tensor list = md_ml__list(c->node, name);
    const md_type *t = c->in[0];
    int64_t n = md_tensor_n(&list);
    md_dim f;

    if (n <= 1 || !t->has_rank)
        return MD_OK;
    f = t->rank ? t->dim[t->rank - 1] : MD_DIM(1);
    if (md_dim_is_const(f) && f.k != n)
        return md_fail(err, MD_INVALID,
                       "%s has %lld elements, 1 or %lld expected", name,
                       (long long)n, (long long)f.k);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(check_list(c, "offset", err));
    MD_TRY(check_list(c, "scale", err));
    md_infer__like(c, 0, 0, MD_DTYPE_F32);
    return MD_OK;
}

/* Element i of a list of one, or of one for each of n features. */
static double at(const md_tensor *list, int64_t i, double otherwise)
{
    int64_t n = md_tensor_n(list);

    return n ? ((const float *)list->data)[n == 1 ? 0 : i % n] : otherwise;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_tensor offset = md_ml__list(x->node, "offset");
    md_tensor scale = md_ml__list(x->node, "scale");
    float *y = out->data;
    int64_t n = md_tensor_n(out);

    (void)ar;
    (void)err;
    for (int64_t from = 0; from < n; from += MD_CHUNK) {
        int64_t m = n - from < MD_CHUNK ? n - from : MD_CHUNK;
        double v[MD_CHUNK];

        md_load_f64(v, x->in[0], from, m);
        for (int64_t i = 0; i < m; i++)
            y[from + i] = (float)((v[i] - at(&offset, from + i, 0.0)) *
                                  at(&scale, from + i, 1.0));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_scaler = {
    .domain = "ai.onnx.ml",
    .name = "Scaler",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
