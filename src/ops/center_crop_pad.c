/* Cut or padded with zeros on both sides, to the sizes of input 1; the odd one
 * goes behind. */
#include "ops/common/util.h"

/* The axes that input 1 speaks of. */
static md_status find_axes(const md_infer *c, md_ints *axes, md_error *err)
{
    int rank = c->in[0]->rank;

    MD_TRY(md_infer__attr_ints(c->node, "axes", axes, err));
    if (!axes->given) {
        axes->n = rank;
        for (int i = 0; i < rank; i++)
            axes->v[i] = i;
    }
    return md_infer__axes(axes, rank, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_ints axes, sizes;
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__shape_input(c, 1, &sizes, err));
    t = *c->in[0];
    if (t.has_rank) {
        MD_TRY(find_axes(c, &axes, err));
        if (sizes.n >= 0 && sizes.n != axes.n)
            return md_fail(err, MD_INVALID,
                           "shape has %d sizes, %d expected, one for each axis",
                           sizes.n, axes.n);
        for (int i = 0; i < axes.n; i++) {
            if (sizes.known)
                t.dim[axes.v[i]] = MD_DIM(sizes.v[i]);
            else
                MD_TRY(md_infer__fresh(c, &t.dim[axes.v[i]], err));
        }
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    md_shape common = { .rank = s->rank };

    (void)ar;
    (void)err;
    md_exec__zero(out);
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, s);
    for (int i = 0; i < s->rank; i++) {
        int64_t a = s->dim[i], b = out->shape.dim[i];

        common.dim[i] = md_min_i64(a, b);
        if (a < b)
            to.at += (b - a) / 2 * to.stride[i];
        else
            from.at += (a - b) / 2 * from.stride[i];
    }
    md_move(&to, &from, &common);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_center_crop_pad = {
    .domain = "",
    .name = "CenterCropPad",
    .since = 18,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
