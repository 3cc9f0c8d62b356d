#include "ops/common/roi.h"

#include <math.h>

md_status md_roi__infer(const md_infer *c, int columns, int64_t height,
                        int64_t width, md_error *err)
{
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__rank(c, 0, 4, 4, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    MD_TRY(md_infer__fresh_type(c, &t, c->in[0]->dtype, 4, err));
    if (c->in[1]->has_rank) {
        MD_TRY(md_infer__must_equal(c, c->in[1]->dim[1], MD_DIM(columns),
                                    "the rois' last axis", err));
        t.dim[0] = c->in[1]->dim[0];
    }
    if (c->in[0]->has_rank)
        t.dim[1] = c->in[0]->dim[1];
    t.dim[2] = MD_DIM(height);
    t.dim[3] = MD_DIM(width);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_roi__load(double **out, const md_tensor *rois, md_arena *ar,
                       md_error *err)
{
    int64_t n = md_tensor_n(rois);

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_f64(*out, rois, 0, n);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite((*out)[i]))
            return md_fail(err, MD_INVALID,
                           "roi %lld holds %g, a finite number expected",
                           (long long)(i / rois->shape.dim[1]), (*out)[i]);
    }
    return MD_OK;
}

md_status md_roi__check_batch(int64_t batch, int64_t r, int64_t n,
                              md_error *err)
{
    if (batch >= 0 && batch < n)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "roi %lld is of batch element %lld, 0 to %lld expected",
                   (long long)r, (long long)batch, (long long)(n - 1));
}
