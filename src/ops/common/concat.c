#include "ops/common/concat.h"

/* Are two types known to differ beside the axis? */
static bool differ(const md_type *a, const md_type *b, int axis)
{
    for (int i = 0; i < a->rank; i++) {
        if (i != axis && md_dim_is_const(a->dim[i]) &&
            md_dim_is_const(b->dim[i]) && a->dim[i].k != b->dim[i].k)
            return true;
    }
    return false;
}

static bool is_nothing(md_dim along)
{
    return md_dim_equal(along, MD_DIM(0));
}

/* Sizes are not below 0. */
static bool may_be_nothing(md_dim along)
{
    return along.sym == 0 ? along.k == 0 : along.k <= 0 || along.scale < 0;
}

/* Of types that differ beside the axis one has to have nothing along it: it
 * adds nothing.  Where either may be that one, nothing is known. */
static md_status leave_out(const md_infer *c, md_type *t, const md_type *in,
                           int axis, md_error *err)
{
    static const char what[] = "a dimension beside a different one";
    bool first = may_be_nothing(t->dim[axis]);
    bool last = may_be_nothing(in->dim[axis]);

    if (!last) {
        MD_TRY(md_infer__must_equal(c, t->dim[axis], MD_DIM(0), what, err));
        *t = *in;
    } else if (!first) {
        MD_TRY(md_infer__must_equal(c, in->dim[axis], MD_DIM(0), what, err));
    } else if (is_nothing(t->dim[axis]) && !is_nothing(in->dim[axis])) {
        *t = *in;
    } else if (!is_nothing(in->dim[axis])) {
        for (int i = 0; i < t->rank; i++)
            MD_TRY(md_infer__fresh(c, &t->dim[i], err));
    }
    return MD_OK;
}

/* Merge the dimensions of one more input into t.  A number holds for the whole
 * if its input is not nothing, which may have another one. */
static md_status join(const md_infer *c, md_type *t, const md_type *in,
                      int axis, md_error *err)
{
    bool first, last;

    if (in->rank != t->rank)
        return md_fail(err, MD_INVALID, "inputs have ranks %d and %d", t->rank,
                       in->rank);
    first = may_be_nothing(t->dim[axis]);
    last = may_be_nothing(in->dim[axis]);
    if ((first || last) && differ(t, in, axis))
        return leave_out(c, t, in, axis, err);
    for (int i = 0; i < t->rank; i++) {
        bool known = md_dim_is_const(t->dim[i]);

        if (i == axis) {
            MD_TRY(md_dim__add(c, &t->dim[i], t->dim[i], in->dim[i], err));
            continue;
        }
        MD_TRY(md_infer__must_equal(c, in->dim[i], t->dim[i],
                                    "a dimension beside the axis", err));
        if (last ? first && known : first || !known)
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
