/* The slices (or, without axis, the elements) where the condition holds; a
 * condition that is too short says nothing of the rest. */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_attr *attr = md_node_attr(c->node, "axis");
    const md_type *in = c->in[0];
    md_type t = { 0 };
    md_dim n;
    int axis = 0;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(BOOL), err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, 1, 1, 1, err));
    t.dtype = in->dtype;
    if (in->has_rank && attr)
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
    MD_TRY(md_infer__fresh(c, &n, err));
    if (c->cin[1] && in->has_rank) {
        int64_t limit = md_tensor_n(c->cin[1]), kept = 0;
        md_dim all = in->dim[axis];

        if (!attr)
            MD_TRY(md_dim__span(c, &all, in, 0, in->rank, err));
        if (md_dim_is_const(all)) {
            for (int64_t i = 0; i < limit && i < all.k; i++)
                kept += md_tensor_get_i64(c->cin[1], i) != 0;
            n = MD_DIM(kept);
        }
    }
    if (!attr) {
        t.has_rank = true;
        t.rank = 1;
        t.dim[0] = n;
    } else if (in->has_rank) {
        t = *in;
        t.dim[axis] = n;
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    bool flat = md_node_attr(x->node, "axis") == NULL;
    int64_t n = md_shape_n(s), inner = 1, outer = 1, kept = 0;
    md_place to = { .t = out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)x->in[0], .stride = { 1 } };

    (void)ar;
    if (!flat) {
        int axis;

        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                                 s->rank, err));
        n = s->dim[axis];
        outer = md_shape_span(s, 0, axis);
        inner = md_shape_span(s, axis + 1, s->rank);
    }
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < n && i < md_tensor_n(x->in[1]); i++) {
            if (!md_tensor_get_i64(x->in[1], i))
                continue;
            to.at = kept++ * inner;
            from.at = (o * n + i) * inner;
            md_move(&to, &from, &(md_shape){ 1, { inner } });
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_compress = {
    .domain = "",
    .name = "Compress",
    .since = 9,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
