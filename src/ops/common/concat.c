#include "ops/common/concat.h"

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
        MD_TRY(md_infer__must_equal(c, in->dim[i], t->dim[i],
                                    "a dimension beside the axis", err));
        if (!md_dim_is_const(t->dim[i]))
            t->dim[i] = in->dim[i];
    }
    return MD_OK;
}

md_status md_concat__infer(const md_infer *c, uint32_t first, uint32_t step,
                           md_error *err)
{
    md_type t = *c->in[first];
    bool known = true;
    int axis = 0;

    if (!md_node_attr(c->node, "axis") && c->opset >= 4)
        return md_fail(err, MD_INVALID, "%s lacks axis", c->node->op);
    for (uint32_t i = first; i < c->node->n_in; i += step)
        known = known && c->in[i]->has_rank;
    if (known) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 1),
                                 t.rank, err));
        for (uint32_t i = first + step; i < c->node->n_in; i += step)
            MD_TRY(join(c, &t, c->in[i], axis, err));
    } else {
        t = (md_type){ .dtype = t.dtype };
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}
