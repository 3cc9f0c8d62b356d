/* Shapes and orders of elements. */
#include <string.h>

#include "convert/torch/build.h"

static void ret_shape(md_torch_call *c, md_value_id id)
{
    md_torch_ret_view(c, id, MD_TORCH_VIEW_SHAPE, 0, md_tv_none(),
                      md_tv_none());
}

void md_torch_emit_refuse(md_torch_call *c)
{
    md_emit_fail(c->e, MD_UNSUPPORTED, "complex numbers");
}

/* --- reshape --- */

/*
 * The shape with as few computed sizes as can be: those of x's own axes are
 * 0, and one that is left is -1.  False: it takes a Concat.
 */
static bool plain_shape(int64_t *out, md_torch_call *c, md_value_id x,
                        const md_torch_list *l)
{
    bool taken = false;

    if (l->n > MD_RANK_MAX)
        return false;
    for (uint32_t i = 0; i < l->n; i++) {
        const md_tv *v = &l->item[i];

        out[i] = v->v.i;
        if (!v->computed && v->v.i == 0)
            return false;
        taken = taken || (!v->computed && v->v.i == -1);
        if (v->computed)
            out[i] = md_torch_is_axis_of(c, v, x, (int)i) ? 0 : INT64_MIN;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        if (out[i] != INT64_MIN)
            continue;
        if (taken)
            return false;
        out[i] = -1;
        taken = true;
    }
    return true;
}

static md_value_id reshape(md_torch_call *c, md_value_id x,
                           const md_torch_list *l)
{
    int64_t dim[MD_RANK_MAX];

    if (plain_shape(dim, c, x, l))
        return md_emit_reshape(c->e, x, dim, (int)l->n);
    return md_emit_op(c->e, "Reshape",
                      (md_value_id[]){ x, md_torch_list_id(c->b, l) }, 2,
                      EMIT_ATTRS(EMIT_I("allowzero", 1)));
}

void md_torch_emit_reshape(md_torch_call *c)
{
    md_tv one = c->arg[1];

    if (!md_tv_is_list(&one)) {
        one = md_tv_list(c->b, MD_TV_LIST, 1);
        if (one.kind == MD_TV_LIST)
            md_tv_append(c->b, one.v.list, c->arg[1]);
    }
    if (c->e->status == MD_OK)
        ret_shape(c, reshape(c, md_torch_x(c, 0), one.v.list));
}

void md_torch_emit_reshape_as(md_torch_call *c)
{
    ret_shape(c, md_emit_op2(c->e, "Reshape", md_torch_x(c, 0),
                             md_emit_op1(c->e, "Shape", md_torch_x(c, 1))));
}

void md_torch_emit_flatten(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    if (md_torch_rank(c, x) == 0) {
        ret_shape(c, md_emit_reshape(c->e, x, (int64_t[]){ 1 }, 1));
        return;
    }
    ret_shape(c, md_torch_merge(c, x, md_torch_axis_at(c, 1, x),
                                md_torch_axis_at(c, 2, x)));
}

void md_torch_emit_flatten_all(md_torch_call *c)
{
    ret_shape(c, md_emit_reshape(c->e, md_torch_x(c, 0), (int64_t[]){ -1 }, 1));
}

/* The axis becomes several: other sizes are x's own. */
void md_torch_emit_unflatten(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int axis = md_torch_axis_at(c, 1, x);
    md_value_id part[3];
    uint32_t n = 0;
    int64_t dim[MD_RANK_MAX] = { 0 };
    int64_t sizes[MD_RANK_MAX];
    bool known = md_tv_is_list(&c->arg[2]);

    for (uint32_t i = 0; known && i < md_torch_n(c, 2); i++)
        known = !c->arg[2].v.list->item[i].computed;
    if (known && axis == rank - 1) {
        int k = md_torch_ints(c, 2, sizes, MD_RANK_MAX - axis);

        memcpy(dim + axis, sizes, (size_t)k * sizeof(*dim));
        ret_shape(c, md_emit_reshape(c->e, x, dim, axis + k));
        return;
    }
    if (axis > 0)
        part[n++] = md_torch_dims(c, x, 0, axis);
    part[n++] = md_torch_sizes(c, 2);
    if (axis + 1 < rank)
        part[n++] = md_torch_dims(c, x, axis + 1, rank);
    ret_shape(c,
              md_emit_op2(c->e, "Reshape", x, md_torch_concat(c, part, n, 0)));
}

/* --- orders of axes --- */

static void ret_permuted(md_torch_call *c, const int64_t *perm, int rank)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret_view(c, md_emit_transpose(c->e, x, perm, rank),
                      MD_TORCH_VIEW_PERM, 0, md_tv_none(), md_tv_none());
    for (int i = 0; i < rank && c->out.kind == MD_TV_TENSOR; i++)
        c->out.v.t->inverse[perm[i]] = i;
}

void md_torch_emit_permute(md_torch_call *c)
{
    int rank = md_torch_rank(c, md_torch_x(c, 0));
    int64_t perm[MD_RANK_MAX];
    unsigned seen = 0;
    int n = md_torch_ints(c, 1, perm, MD_RANK_MAX);

    for (int i = 0; i < n; i++) {
        perm[i] = md_torch_axis(c, perm[i], rank);
        seen |= 1u << perm[i];
    }
    if (c->e->status == MD_OK && (n != rank || seen != (1u << rank) - 1))
        md_emit_fail(c->e, MD_INVALID, "%d axes of a tensor of rank %d", n,
                     rank);
    if (c->e->status == MD_OK)
        ret_permuted(c, perm, rank);
}

void md_torch_emit_transpose(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int a = md_torch_axis_at(c, 1, x), b = md_torch_axis_at(c, 2, x);
    int64_t perm[MD_RANK_MAX];

    md_torch_identity(perm);
    perm[a] = b;
    perm[b] = a;
    ret_permuted(c, perm, rank);
}

void md_torch_emit_t(md_torch_call *c)
{
    int64_t perm[MD_RANK_MAX];
    int rank = md_torch_rank(c, md_torch_x(c, 0));

    md_torch_identity(perm);
    if (rank == 2) {
        perm[0] = 1;
        perm[1] = 0;
    }
    ret_permuted(c, perm, rank);
}

void md_torch_emit_turn_all(md_torch_call *c)
{
    int rank = md_torch_rank(c, md_torch_x(c, 0));
    int64_t perm[MD_RANK_MAX];

    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    ret_permuted(c, perm, rank);
}

void md_torch_emit_turn_last(md_torch_call *c)
{
    int rank = md_torch_rank(c, md_torch_x(c, 0));
    int64_t perm[MD_RANK_MAX];

    md_torch_identity(perm);
    if (rank > 1) {
        perm[rank - 1] = rank - 2;
        perm[rank - 2] = rank - 1;
    }
    ret_permuted(c, perm, rank);
}

void md_torch_emit_movedim(md_torch_call *c)
{
    int rank = md_torch_rank(c, md_torch_x(c, 0));
    int64_t from[MD_RANK_MAX], to[MD_RANK_MAX], perm[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, from, MD_RANK_MAX);
    unsigned taken = 0;

    if (md_torch_ints(c, 2, to, MD_RANK_MAX) != n)
        md_emit_fail(c->e, MD_INVALID, "as many axes from as to expected");
    for (int i = 0; i < MD_RANK_MAX; i++)
        perm[i] = -1;
    for (int i = 0; i < n; i++) {
        from[i] = md_torch_axis(c, from[i], rank);
        perm[md_torch_axis(c, to[i], rank)] = from[i];
        taken |= 1u << from[i];
    }
    for (int i = 0, next = 0; i < rank; i++) {
        if (perm[i] >= 0)
            continue;
        while (taken & (1u << next))
            next++;
        perm[i] = next < rank ? next : 0;
        next++;
    }
    if (c->e->status == MD_OK)
        ret_permuted(c, perm, rank);
}

/* --- axes of one --- */

void md_torch_emit_unsqueeze(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    ret_shape(c, md_emit_unsqueeze(c->e, x,
                                   md_torch_axis(c, md_torch_i(c, 1),
                                                 md_torch_rank(c, x) + 1)));
}

/* Is the axis' size one that an input may have? */
static bool is_input_size(const md_torch_call *c, md_value_id x, int axis)
{
    const md_model *m = c->e->model;
    md_dim d = md_torch_type(c, x)->dim[axis];

    return d.sym != 0 && m->exprs[d.sym].kind == MD_EXPR_FREE &&
           m->symbols[d.sym][0] != '\0';
}

/* Only axes of size 1 go.  A free size of an input is taken as larger; one
 * that is computed as 1, as the program asks for that axis by its number. */
void md_torch_emit_squeeze(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, axes, MD_RANK_MAX);
    int rank = md_torch_rank(c, x);
    int kept = 0;

    for (int i = 0; i < n; i++) {
        int a = md_torch_axis(c, axes[i], rank);
        int64_t size = rank > 0 ? md_torch_size(c, x, a) : 0;

        if (size == 1 || (size < 0 && !is_input_size(c, x, a)))
            axes[kept++] = a;
    }
    if (kept > 0)
        x = md_emit_op2(c->e, "Squeeze", x, md_emit_ints(c->e, axes, kept));
    ret_shape(c, x);
}

void md_torch_emit_squeeze_all(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    int rank = md_torch_rank(c, x);
    int n = 0;

    for (int i = 0; i < rank; i++) {
        if (md_torch_size(c, x, i) == 1)
            axes[n++] = i;
    }
    if (n > 0)
        x = md_emit_op2(c->e, "Squeeze", x, md_emit_ints(c->e, axes, n));
    ret_shape(c, x);
}

void md_torch_emit_at_least(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int want = c->row->onnx[0] - '0';

    while (md_torch_rank(c, x) < want && c->e->status == MD_OK)
        x = md_emit_unsqueeze(c->e, x, 0);
    ret_shape(c, x);
}

/* --- repetition --- */

/* -1 stays as it is: for Expand that is a 1. */
void md_torch_emit_expand(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_tv sizes = md_tv_list(c->b, MD_TV_LIST, md_torch_n(c, 1));
    int rank = md_torch_rank(c, x);
    int n = (int)md_torch_n(c, 1);
    bool same = n == rank;

    for (int i = 0; i < n && sizes.kind == MD_TV_LIST; i++) {
        md_tv v = c->arg[1].v.list->item[i];
        int own = i - (n - rank);

        if (!v.computed && v.v.i == -1)
            v = md_tv_int(1);
        else if (own < 0 || !md_torch_is_axis_of(c, &v, x, own))
            same = false;
        else if (v.computed)
            v = md_tv_int(1);
        md_tv_append(c->b, sizes.v.list, v);
    }
    if (sizes.kind != MD_TV_LIST)
        return;
    md_torch_ret(c, same ? x
                         : md_emit_op2(c->e, "Expand", x,
                                       md_torch_list_id(c->b, sizes.v.list)));
}

void md_torch_emit_expand_as(md_torch_call *c)
{
    md_torch_ret(c, md_emit_op2(c->e, "Expand", md_torch_x(c, 0),
                                md_emit_op1(c->e, "Shape", md_torch_x(c, 1))));
}

void md_torch_emit_broadcast_tensors(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 0);
    md_tv out = md_tv_list(c->b, MD_TV_LIST, n);

    for (uint32_t i = 0; i < n && out.kind == MD_TV_LIST; i++) {
        md_value_id x = md_torch_item(c, 0, i);

        for (uint32_t k = 0; k < n; k++)
            x = k == i ? x
                       : md_emit_op2(c->e, "Expand", x,
                                     md_emit_op1(c->e, "Shape",
                                                 md_torch_item(c, 0, k)));
        md_tv_append(c->b, out.v.list, md_tv_tensor(c->b, x));
    }
    c->out = out;
}

void md_torch_emit_repeat(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id times = md_torch_sizes(c, 1);
    int n = md_tv_is_list(&c->arg[1]) ? (int)md_torch_n(c, 1) : 1;
    int rank = md_torch_rank(c, x);

    for (; rank < n; rank++)
        x = md_emit_unsqueeze(c->e, x, 0);
    for (; n < rank; n++)
        times = md_torch_concat(
            c, (md_value_id[]){ MD_TORCH_INTS(c, 1), times }, 2, 0);
    md_torch_ret(c, md_emit_op2(c->e, "Tile", x, times));
}

/* Each element k times: a new axis behind, repeated, and both as one. */
void md_torch_emit_repeat_interleave(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = 0, rank;
    int64_t times[MD_RANK_MAX];

    if (!md_torch_given(c, 2))
        x = md_emit_reshape(c->e, x, (int64_t[]){ -1 }, 1);
    else
        axis = md_torch_axis_at(c, 2, x);
    rank = md_torch_rank(c, x);
    if (rank == MD_RANK_MAX) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of rank %d", rank);
        return;
    }
    for (int i = 0; i <= rank; i++)
        times[i] = 1;
    times[axis + 1] = md_torch_i(c, 1);
    x = md_emit_unsqueeze(c->e, x, axis + 1);
    x = md_emit_op2(c->e, "Tile", x, md_emit_ints(c->e, times, rank + 1));
    md_torch_ret(c, md_torch_merge(c, x, axis, axis + 1));
}
