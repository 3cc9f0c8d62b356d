/* Values that equal one, NaN too, replaced by another: one for all features
 * or one for each. */
#include <math.h>

#include "ops/common/ml.h"

static const char *list_name(md_dtype dtype)
{
    return md_dtype_is_float(dtype) ? "imputed_value_floats"
                                    : "imputed_value_int64s";
}

static md_status check_list(const md_infer *c, md_error *err)
{
    const md_type *t = c->in[0];
    const char *name = list_name(t->dtype);
    md_tensor list = md_ml__list(c->node, name);
    int64_t n = md_tensor_n(&list);
    md_dim f;

    if (md_node_attr(c->node, "imputed_value_floats") &&
        md_node_attr(c->node, "imputed_value_int64s"))
        return md_fail(err, MD_INVALID,
                       "both of imputed_value_floats and imputed_value_int64s "
                       "are given, one expected");
    if (t->dtype == MD_DTYPE_NONE)
        return MD_OK;
    if (n == 0)
        return md_fail(err, MD_INVALID, "%s is empty, which %s input needs",
                       name, md_dtype_name(t->dtype));
    if (n == 1 || !t->has_rank)
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
    MD_TRY(check_list(c, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static void impute_floats(const md_node *n, md_tensor *out,
                          const md_tensor *list)
{
    double old = md_node_attr_f(n, "replaced_value_float", 0.0F);
    const float *new = list->data;
    int64_t n_new = md_tensor_n(list);

    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        double v = md_tensor_get_f64(out, i);

        if (v == old || (isnan(v) && isnan(old)))
            md_tensor_set_f64(out, i, new[i % n_new]);
    }
}

static void impute_ints(const md_node *n, md_tensor *out, const md_tensor *list)
{
    int64_t old = md_node_attr_i(n, "replaced_value_int64", 0);
    const int64_t *new = list->data;
    int64_t n_new = md_tensor_n(list);

    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        if (md_tensor_get_i64(out, i) == old)
            md_tensor_set_i64(out, i, new[i % n_new]);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_tensor list = md_ml__list(x->node, list_name(out->dtype));

    (void)ar;
    (void)err;
    md_move_all(out, x->in[0]);
    if (md_dtype_is_float(out->dtype))
        impute_floats(x->node, out, &list);
    else
        impute_ints(x->node, out, &list);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_imputer = {
    .domain = "ai.onnx.ml",
    .name = "Imputer",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
