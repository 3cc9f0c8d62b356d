/* y = x / (bias + alpha / size * sum of squares over `size` channels)^beta
 * (Krizhevsky et al. 2012). */
#include <math.h>

#include "base/size.h"
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t size = md_node_attr_i(c->node, "size", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (size < 1 || size > INT32_MAX)
        return md_fail(err, MD_INVALID, "size is %lld, at least 1 expected",
                       (long long)size);
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    int64_t size = md_node_attr_i(x->node, "size", 0);
    double alpha = md_node_attr_f(x->node, "alpha", 1e-4f) / (double)size;
    double beta = md_node_attr_f(x->node, "beta", 0.75f);
    double bias = md_node_attr_f(x->node, "bias", 1.0f);
    int64_t channels = s->dim[1], plane = md_shape_span(s, 2, s->rank);
    int64_t n = md_tensor_n(out);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i / plane % channels;
        int64_t lo = md_max_i64(c - (size - 1) / 2, 0);
        int64_t hi = md_min_i64(c + size / 2, channels - 1);
        double sum = 0.0;

        for (int64_t k = lo; k <= hi; k++) {
            double v = md_tensor_get_f64(x->in[0], i + (k - c) * plane);

            sum += v * v;
        }
        md_tensor_set_f64(out, i,
                          md_tensor_get_f64(x->in[0], i) /
                              pow(bias + alpha * sum, beta));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_lrn = {
    .domain = "",
    .name = "LRN",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
