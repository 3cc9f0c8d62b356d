/* What emitters of several subjects need of shapes. */
#include "convert/torch/build.h"

int md_torch_axis_at(md_torch_call *c, uint32_t i, md_value_id x)
{
    return md_torch_axis(c, md_torch_i(c, i), md_torch_rank(c, x));
}

md_value_id md_torch_dims(md_torch_call *c, md_value_id x, int64_t from,
                          int64_t to)
{
    return md_emit_op(c->e, "Shape", &x, 1,
                      EMIT_ATTRS(EMIT_I("start", from), EMIT_I("end", to)));
}

md_value_id md_torch_concat(md_torch_call *c, const md_value_id *v, uint32_t n,
                            int axis)
{
    if (n == 1)
        return v[0];
    return md_emit_op(c->e, "Concat", v, n, EMIT_ATTRS(EMIT_I("axis", axis)));
}

bool md_torch_is_axis_of(md_torch_call *c, const md_tv *item, md_value_id x,
                         int i)
{
    const md_type *t = md_torch_type(c, x);
    md_dim d;

    return t->has_rank && i < t->rank && md_tv_dim(&d, c->b, item) &&
           md_dim_equal(d, t->dim[i]);
}

md_value_id md_torch_merge(md_torch_call *c, md_value_id x, int from, int to)
{
    int64_t dim[MD_RANK_MAX] = { 0 };
    int rank = md_torch_rank(c, x);
    md_value_id part[3];
    uint32_t n = 0;

    if (from == to)
        return x;
    for (int i = to + 1; i < rank; i++) {
        dim[from + i - to] = md_torch_size(c, x, i);
        if (dim[from + i - to] <= 0)
            n = 1;
    }
    dim[from] = -1;
    if (n == 0) /* axes before are copied */
        return md_emit_reshape(c->e, x, dim, rank - (to - from));
    n = 0;
    if (from > 0)
        part[n++] = md_torch_dims(c, x, 0, from);
    part[n++] = MD_TORCH_INTS(c, -1);
    if (to + 1 < rank)
        part[n++] = md_torch_dims(c, x, to + 1, rank);
    return md_emit_op2(c->e, "Reshape", x, md_torch_concat(c, part, n, 0));
}

void md_torch_identity(int64_t perm[MD_RANK_MAX])
{
    for (int i = 0; i < MD_RANK_MAX; i++)
        perm[i] = i;
}

md_value_id md_torch_cut(md_torch_call *c, md_value_id x, int axis,
                         md_value_id from, md_value_id to)
{
    return md_emit_op(c->e, "Slice",
                      (md_value_id[]){ x, from, to, MD_TORCH_INTS(c, axis) }, 4,
                      NULL);
}
