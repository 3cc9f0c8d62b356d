#include "ops/common/util.h"
#include "ops/lower.h"

/* Merge the dimensions of one more input into t. */
static md_status join(const md_infer *c, md_type *t, const md_type *in,
                      int axis, md_error *err)
{
    if (in->rank != t->rank)
        return md_fail(err, MD_INVALID, "inputs have ranks %d and %d", t->rank,
                       in->rank);
    for (int i = 0; i < t->rank; i++) {
        if (i == axis) {
            MD_TRY(md_dim__add(c, &t->dim[i], t->dim[i], in->dim[i], err));
            continue;
        }
        MD_TRY(md_infer__same_dim(in->dim[i], t->dim[i],
                                  "a dimension beside the axis", err));
        if (!md_dim_is_const(t->dim[i]))
            t->dim[i] = in->dim[i];
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    bool known = true;
    int axis = 0;

    if (!md_node_attr(c->node, "axis"))
        return md_fail(err, MD_INVALID, "Concat lacks axis");
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_ANY, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        known = known && c->in[i]->has_rank;
    }
    t.dtype = c->in[0]->dtype;
    if (known) {
        t = *c->in[0];
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 t.rank, err));
        for (uint32_t i = 1; i < c->node->n_in; i++)
            MD_TRY(join(c, &t, c->in[i], axis, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out };
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             out->shape.rank, err));
    md_shape_strides(to.stride, &out->shape);
    for (uint32_t i = 0; i < x->node->n_in; i++) {
        md_place from = { .t = (md_tensor *)x->in[i] };

        md_shape_strides(from.stride, &x->in[i]->shape);
        md_move(&to, &from, &x->in[i]->shape);
        to.at += x->in[i]->shape.dim[axis] * to.stride[axis];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_concat = {
    .domain = "",
    .name = "Concat",
    .since = 7,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .fast = &md_fast_concat,
};
