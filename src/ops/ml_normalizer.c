/* Each row by its largest value, the sum of its magnitudes (L1) or its length
 * (L2); a row whose divisor is 0 stays as it is. */
#include <math.h>
#include <string.h>

#include "ops/common/ml.h"

enum norm {
    MAX,
    L1,
    L2
};

static md_status norm_of(enum norm *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "MAX", "L1", "L2" };
    const char *name = md_node_attr_s(n, "norm", "MAX");

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum norm)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID, "norm is '%s', MAX, L1 or L2 expected",
                   name);
}

static md_status infer(const md_infer *c, md_error *err)
{
    enum norm norm;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(md_infer__rank(c, 0, 1, 2, err));
    MD_TRY(norm_of(&norm, c->node, err));
    md_infer__like(c, 0, 0, MD_DTYPE_F32);
    return MD_OK;
}

static double divisor(enum norm norm, const md_tensor *t, int64_t from,
                      int64_t n)
{
    double d = norm == MAX ? -INFINITY : 0.0;

    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(t, from + i);

        if (norm == MAX)
            d = v > d ? v : d;
        else
            d += norm == L1 ? fabs(v) : v * v;
    }
    d = norm == L2 ? sqrt(d) : d;
    return d == 0.0 ? 1.0 : d;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t n = out->shape.dim[out->shape.rank - 1];
    float *y = out->data;
    enum norm norm;

    (void)ar;
    MD_TRY(norm_of(&norm, x->node, err));
    for (int64_t from = 0; from < md_tensor_n(out); from += n) {
        double d = divisor(norm, x->in[0], from, n);

        for (int64_t i = from; i < from + n; i++)
            y[i] = (float)(md_tensor_get_f64(x->in[0], i) / d);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_normalizer = {
    .domain = "ai.onnx.ml",
    .name = "Normalizer",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
