#include "ops/common/taper.h"

#include <math.h>

md_status md_taper__infer(const md_infer *c, md_error *err)
{
    int64_t dtype = md_node_attr_i(c->node, "output_datatype", MD_DTYPE_F32);
    md_type t = { .has_rank = true, .rank = 1 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c, c->in[0], MD_DIM(1), "size", err));
    if (dtype < 0 || dtype >= MD_DTYPE_N || !(MD_TYPES_NUMBER >> dtype & 1))
        return md_fail(err, MD_INVALID,
                       "output_datatype is %lld, a number type expected",
                       (long long)dtype);
    t.dtype = (md_dtype)dtype;
    MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    if (c->cin[0]) {
        int64_t n = md_tensor_get_i64(c->cin[0], 0);

        if (n < 0)
            return md_fail(err, MD_INVALID, "size is %lld, at least 0 expected",
                           (long long)n);
        t.dim[0] = MD_DIM(n);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_taper__compute(md_exec *x, md_tensor *out, const double a[3])
{
    bool periodic = md_node_attr_i(x->node, "periodic", 1) != 0;
    int64_t n = md_tensor_n(out);
    double round_trip = (double)(periodic ? n : n - 1);

    for (int64_t i = 0; i < n; i++) {
        double t = 2.0 * 3.14159265358979323846 * (double)i / round_trip;
        double v = a[0] - a[1] * cos(t) + a[2] * cos(2.0 * t);

        if (round_trip == 0.0) /* one element */
            v = 1.0;
        if (!md_dtype_is_float(out->dtype))
            v = (double)(float)v; /* 1 - 1e-16 is 1 before it is cut */
        md_store_f64(out, i, &v, 1);
    }
    return MD_OK;
}
