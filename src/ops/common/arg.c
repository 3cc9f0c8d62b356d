#include "ops/common/arg.h"

#include <math.h>

md_status md_arg__infer(const md_infer *c, md_error *err)
{
    bool keep = md_node_attr_i(c->node, "keepdims", 1) != 0;
    md_type t = { .dtype = MD_DTYPE_I64 };
    const md_type *in = c->in[0];
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    if (in->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
        if (md_dim_is_const(in->dim[axis]) && in->dim[axis].k == 0)
            return md_fail(err, MD_INVALID, "axis %d has no elements", axis);
        t.has_rank = true;
        for (int i = 0; i < in->rank; i++) {
            if (i != axis)
                t.dim[t.rank++] = in->dim[i];
            else if (keep)
                t.dim[t.rank++] = MD_DIM(1);
        }
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Order of elements i and j, exact for integers; with sign -1 the smaller is
 * beyond the larger one.  NaN is beyond every number, whatever the sign. */
static int compare(const md_tensor *t, int64_t i, int64_t j, int sign)
{
    if (md_dtype_is_float(t->dtype)) {
        double a = md_tensor_get_f64(t, i), b = md_tensor_get_f64(t, j);

        if (isnan(a) || isnan(b))
            return isnan(a) - isnan(b);
        return sign * ((a > b) - (a < b));
    } else {
        int64_t a = md_tensor_get_i64(t, i), b = md_tensor_get_i64(t, j);

        if (t->dtype == MD_DTYPE_U64)
            return sign *
                   (((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b));
        return sign * ((a > b) - (a < b));
    }
}

md_status md_arg__compute(md_exec *x, md_tensor *out, int sign, md_error *err)
{
    const md_tensor *in = x->in[0];
    bool last = md_node_attr_i(x->node, "select_last_index", 0) != 0;
    int64_t n, inner, rows = md_tensor_n(out);
    int axis;

    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             in->shape.rank, err));
    n = in->shape.dim[axis];
    inner = md_shape_span(&in->shape, axis + 1, in->shape.rank);
    for (int64_t row = 0; row < rows; row++) {
        int64_t base = row / inner * n * inner + row % inner, best = 0;

        for (int64_t i = 1; i < n; i++) {
            int c = compare(in, base + i * inner, base + best * inner, sign);

            if (c > 0 || (c == 0 && last))
                best = i;
        }
        ((int64_t *)out->data)[row] = best;
    }
    return MD_OK;
}
