/*
 * com.microsoft's MaxpoolWithMask: a window's row ends at its first masked
 * element; the first element of a plane of two axes or more always counts.  A
 * window of which nothing counts gives the lowest number.  A mask may have one
 * channel or as many as the input (of which onnxruntime reads all but the first
 * one element late).
 */
#include <float.h>

#include "ops/common/pool.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0], *mask = c->in[1];

    MD_TRY(md_infer__need(c, 0, MD_T(F32), err));
    MD_TRY(md_infer__need(c, 1, MD_T(I32), err));
    if (x->has_rank)
        MD_TRY(md_infer__rank(c, 1, x->rank, x->rank, err));
    for (int d = 2; x->has_rank && mask->has_rank && d < x->rank; d++)
        MD_TRY(md_infer__must_equal(c, mask->dim[d], x->dim[d],
                                    "a dimension of the mask", err));
    return md_pool__infer(c, MD_DTYPE_F32, MD_DTYPE_NONE, err);
}

/* Of one window; `in` and `mask` are planes. */
static float find_max(const md_pool_plan *p, const md_span *s, const float *in,
                      const int32_t *mask, bool first_counts)
{
    int64_t k[MD_SPATIAL_MAX], at, row = -1;
    bool started = false, ended = false;
    float best = -FLT_MAX;

    while (md_pool__next(p, s, k, &at, &started)) {
        if (at / p->in[2] != row)
            ended = false;
        row = at / p->in[2];
        ended |= (at > 0 || !first_counts) && mask[at] == 0;
        if (!ended && in[at] > best)
            best = in[at];
    }
    return best;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[1]->shape;
    int64_t n_masks = s->dim[0] * s->dim[1];
    float *to = out->data;
    md_pool_plan p;

    (void)ar;
    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &out->shape, err));
    if (n_masks == 0)
        return md_fail(err, MD_INVALID, "an empty mask");
    for (int64_t i = 0; i < p.n_planes * p.out_size; i++) {
        int64_t plane = i / p.out_size;
        md_span span[MD_SPATIAL_MAX];

        md_pool__spans(span, &p, i % p.out_size);
        to[i] = find_max(
            &p, span, (const float *)x->in[0]->data + plane * p.in_size,
            (const int32_t *)x->in[1]->data + plane % n_masks * p.in_size,
            x->in[0]->shape.rank > 3);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_maxpool_with_mask = {
    .domain = "com.microsoft",
    .name = "MaxpoolWithMask",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
