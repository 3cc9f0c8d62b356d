#include "ops/common/cumulate.h"

md_status md_cumulate__infer(const md_infer *c, const md_cumulate *how,
                             md_error *err)
{
    const md_type *in;
    int axis;

    MD_TRY(md_infer__need(c, 0, how->types, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c->in[1], MD_DIM(1), "axis", err));
    in = c->in[0];
    if (in->has_rank && c->cin[1])
        MD_TRY(md_axis_normalize(&axis, md_tensor_get_i64(c->cin[1], 0),
                                 in->rank, err));
    md_infer__give(c, 0, in);
    return MD_OK;
}

/* n elements from `at` on, `step` apart. */
static void combine_row(md_tensor *out, const md_tensor *in,
                        const md_cumulate *how, int64_t at, int64_t step,
                        int64_t n, bool exclusive)
{
    uint64_t whole = how->start;
    double real = (double)how->start;

    for (int64_t i = 0; i < n; i++, at += step) {
        if (md_dtype_is_float(out->dtype)) {
            double before = real;

            real = how->f64(real, md_tensor_get_f64(in, at));
            md_tensor_set_f64(out, at, exclusive ? before : real);
        } else {
            uint64_t before = whole;

            whole = how->u64(whole, (uint64_t)md_tensor_get_i64(in, at));
            md_tensor_set_i64(out, at, (int64_t)(exclusive ? before : whole));
        }
    }
}

md_status md_cumulate__compute(const md_exec *x, md_tensor *out,
                               const md_cumulate *how, md_error *err)
{
    bool exclusive = md_node_attr_i(x->node, "exclusive", 0) != 0;
    bool reverse = md_node_attr_i(x->node, "reverse", 0) != 0;
    const md_shape *s = &out->shape;
    int64_t n, inner;
    int axis;

    MD_TRY(
        md_axis_normalize(&axis, md_tensor_get_i64(x->in[1], 0), s->rank, err));
    n = s->dim[axis];
    inner = md_shape_span(s, axis + 1, s->rank);
    for (int64_t row = 0; row < md_shape_n(s) / n; row++) {
        int64_t at = row / inner * n * inner + row % inner;

        combine_row(out, x->in[0], how, reverse ? at + (n - 1) * inner : at,
                    reverse ? -inner : inner, n, exclusive);
    }
    return MD_OK;
}
