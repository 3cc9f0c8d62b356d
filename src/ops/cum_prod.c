/* Products of all elements up to each one (or before it, with exclusive). */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_INT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c->in[1], MD_DIM(1), "axis", err));
    in = c->in[0];
    if (in->has_rank && c->cin[1])
        MD_TRY(md_axis_normalize(&axis, md_tensor_get_i64(c->cin[1], 0),
                                 in->rank, err));
    md_infer__give(c, 0, in);
    return MD_OK;
}

static void multiply_row(md_tensor *out, const md_tensor *in, int64_t at,
                         int64_t step, int64_t n, bool exclusive)
{
    uint64_t whole = 1;
    double product = 1.0;

    for (int64_t i = 0; i < n; i++, at += step) {
        if (md_dtype_is_float(out->dtype)) {
            double v = md_tensor_get_f64(in, at);

            md_tensor_set_f64(out, at, exclusive ? product : product * v);
            product *= v;
        } else {
            uint64_t v = (uint64_t)md_tensor_get_i64(in, at);

            md_tensor_set_i64(out, at,
                              (int64_t)(exclusive ? whole : whole * v));
            whole *= v;
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool exclusive = md_node_attr_i(x->node, "exclusive", 0) != 0;
    bool reverse = md_node_attr_i(x->node, "reverse", 0) != 0;
    const md_shape *s = &out->shape;
    int64_t n, inner;
    int axis;

    (void)ar;
    MD_TRY(
        md_axis_normalize(&axis, md_tensor_get_i64(x->in[1], 0), s->rank, err));
    n = s->dim[axis];
    inner = md_shape_span(s, axis + 1, s->rank);
    for (int64_t row = 0; row < md_shape_n(s) / n; row++) {
        int64_t at = row / inner * n * inner + row % inner;

        multiply_row(out, x->in[0], reverse ? at + (n - 1) * inner : at,
                     reverse ? -inner : inner, n, exclusive);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_cum_prod = {
    .domain = "",
    .name = "CumProd",
    .since = 26,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
