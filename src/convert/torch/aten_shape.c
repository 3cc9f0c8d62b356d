/* Shapes and orders of elements. */
#include <string.h>

#include "convert/torch/build.h"

static int axis_arg(md_torch_call *c, uint32_t i, md_value_id x)
{
    return md_torch_axis(c, md_torch_i(c, i), md_torch_rank(c, x));
}

static void ret_shape(md_torch_call *c, md_value_id id)
{
    md_torch_ret_view(c, id, MD_TORCH_VIEW_SHAPE, 0, md_tv_none(),
                      md_tv_none());
}

static md_value_id dims_of(md_torch_call *c, md_value_id x, int64_t from,
                           int64_t to)
{
    return md_emit_op(c->e, "Shape", &x, 1,
                      EMIT_ATTRS(EMIT_I("start", from), EMIT_I("end", to)));
}

static md_value_id concat(md_torch_call *c, const md_value_id *v, uint32_t n,
                          int axis)
{
    if (n == 1)
        return v[0];
    return md_emit_op(c->e, "Concat", v, n, EMIT_ATTRS(EMIT_I("axis", axis)));
}

void md_torch_emit_refuse(md_torch_call *c)
{
    md_emit_fail(c->e, MD_UNSUPPORTED, "complex numbers");
}

/* --- reshape --- */

/* Is the item the size of x's axis i? */
static bool is_axis_of(md_torch_call *c, const md_tv *item, md_value_id x,
                       int i)
{
    const md_type *t = md_torch_type(c, x);
    md_dim d;

    return t->has_rank && i < t->rank && md_tv_dim(&d, c->b, item) &&
           md_dim_equal(d, t->dim[i]);
}

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
            out[i] = is_axis_of(c, v, x, (int)i) ? 0 : INT64_MIN;
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

/* Axes [from, to] become one. */
static md_value_id merge(md_torch_call *c, md_value_id x, int from, int to)
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
        part[n++] = dims_of(c, x, 0, from);
    part[n++] = MD_TORCH_INTS(c, -1);
    if (to + 1 < rank)
        part[n++] = dims_of(c, x, to + 1, rank);
    return md_emit_op2(c->e, "Reshape", x, concat(c, part, n, 0));
}

void md_torch_emit_flatten(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    if (md_torch_rank(c, x) == 0) {
        ret_shape(c, md_emit_reshape(c->e, x, (int64_t[]){ 1 }, 1));
        return;
    }
    ret_shape(c, merge(c, x, axis_arg(c, 1, x), axis_arg(c, 2, x)));
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
    int axis = axis_arg(c, 1, x);
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
        part[n++] = dims_of(c, x, 0, axis);
    part[n++] = md_torch_sizes(c, 2);
    if (axis + 1 < rank)
        part[n++] = dims_of(c, x, axis + 1, rank);
    ret_shape(c, md_emit_op2(c->e, "Reshape", x, concat(c, part, n, 0)));
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

static void identity(int64_t perm[MD_RANK_MAX])
{
    for (int i = 0; i < MD_RANK_MAX; i++)
        perm[i] = i;
}

void md_torch_emit_transpose(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int a = axis_arg(c, 1, x), b = axis_arg(c, 2, x);
    int64_t perm[MD_RANK_MAX];

    identity(perm);
    perm[a] = b;
    perm[b] = a;
    ret_permuted(c, perm, rank);
}

void md_torch_emit_t(md_torch_call *c)
{
    int64_t perm[MD_RANK_MAX];
    int rank = md_torch_rank(c, md_torch_x(c, 0));

    identity(perm);
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

    identity(perm);
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
        else if (own < 0 || !is_axis_of(c, &v, x, own))
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
        times = concat(c, (md_value_id[]){ MD_TORCH_INTS(c, 1), times }, 2, 0);
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
        axis = axis_arg(c, 2, x);
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
    md_torch_ret(c, merge(c, x, axis, axis + 1));
}

/* --- joining and cutting --- */

/* What a loop put one behind another, [n, ...], with axis 0 joined to `axis`
 * of the rest. */
static void cat_stacked(md_torch_call *c, bool keep)
{
    md_tv all = { .kind = MD_TV_TENSOR, .v.t = c->arg[0].v.list->stacked };
    md_value_id x = md_tv_id(c->b, &all);
    int rank = md_torch_rank(c, x);
    int axis = md_torch_axis(c, md_torch_i(c, 1), keep ? rank : rank - 1);
    int64_t perm[MD_RANK_MAX];

    for (int i = 0; i < rank; i++)
        perm[i] = i < axis ? i + 1 : i == axis ? 0 : i;
    x = md_emit_transpose(c->e, x, perm, rank);
    md_torch_ret(c, keep ? x : merge(c, x, axis, axis + 1));
}

static bool is_empty(md_torch_call *c, md_value_id x)
{
    return md_torch_rank(c, x) == 1 && md_torch_size(c, x, 0) == 0;
}

void md_torch_emit_cat(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 0);
    md_value_id *v;
    md_dtype type;
    uint32_t kept = 0;

    if (c->arg[0].v.list->stacked) {
        cat_stacked(c, false);
        return;
    }
    v = md_emit_alloc(c->e, n, sizeof(*v));
    type = md_torch_promote(c, c->arg[0].v.list->item, n);
    for (uint32_t i = 0; v && i < n; i++) {
        md_value_id x = md_torch_item(c, 0, i);

        /* tensor([]) joins everything */
        if (!is_empty(c, x) || (kept == 0 && i + 1 == n))
            v[kept++] = md_emit_cast(c->e, x, type);
    }
    if (kept == 0)
        md_emit_fail(c->e, MD_INVALID, "no tensors");
    if (v && c->e->status == MD_OK)
        md_torch_ret(c, concat(c, v, kept, axis_arg(c, 1, v[0])));
}

void md_torch_emit_stack(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 0);
    md_value_id *v;
    md_dtype type;
    int axis = 0;

    if (c->arg[0].v.list->stacked) {
        cat_stacked(c, true);
        return;
    }
    v = md_emit_alloc(c->e, n, sizeof(*v));
    type = md_torch_promote(c, c->arg[0].v.list->item, n);
    for (uint32_t i = 0; v && i < n; i++) {
        md_value_id x = md_torch_item(c, 0, i);

        if (i == 0)
            axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x) + 1);
        v[i] = md_emit_unsqueeze(c->e, md_emit_cast(c->e, x, type), axis);
    }
    if (n == 0)
        md_emit_fail(c->e, MD_INVALID, "no tensors");
    if (v && c->e->status == MD_OK)
        md_torch_ret(c, concat(c, v, n, axis));
}

void md_torch_emit_stack_rows(md_torch_call *c)
{
    bool rows = c->row->onnx[0] == '0';
    uint32_t n = md_torch_n(c, 0);
    md_value_id *v = md_emit_alloc(c->e, n, sizeof(*v));
    int axis = 0;

    for (uint32_t i = 0; v && i < n; i++) {
        v[i] = md_torch_item(c, 0, i);
        if (rows && md_torch_rank(c, v[i]) == 1)
            v[i] = md_emit_unsqueeze(c->e, v[i], 0);
        axis = !rows && md_torch_rank(c, v[i]) > 1;
    }
    if (v && n > 0 && c->e->status == MD_OK)
        md_torch_ret(c, concat(c, v, n, axis));
}

static md_value_id cut(md_torch_call *c, md_value_id x, int axis,
                       md_value_id from, md_value_id to)
{
    return md_emit_op(c->e, "Slice",
                      (md_value_id[]){ x, from, to, MD_TORCH_INTS(c, axis) }, 4,
                      NULL);
}

/* Parts of these sizes, as views. */
static void ret_parts(md_torch_call *c, md_value_id x, int axis,
                      const int64_t *size, uint32_t n)
{
    md_value_id *part = md_emit_alloc(c->e, n, sizeof(*part));
    md_tv out = md_tv_list(c->b, MD_TV_LIST, n);
    int64_t at = 0;

    if (!part || out.kind != MD_TV_LIST)
        return;
    if (n == 1)
        part[0] = x;
    else
        md_emit_op_n(c->e, part, n, "Split",
                     (md_value_id[]){ x, md_emit_ints(c->e, size, n) }, 2,
                     EMIT_ATTRS(EMIT_I("axis", axis)));
    for (uint32_t i = 0; i < n; i++) {
        md_torch_ret(c, part[i]);
        if (c->out.kind == MD_TV_TENSOR && c->arg[0].kind == MD_TV_TENSOR &&
            n > 1) {
            md_tv args[4] = { c->arg[0], md_tv_int(axis), md_tv_int(at),
                              md_tv_int(at + size[i]) };
            md_torch_tensor *t = c->out.v.t;
            md_torch_call *made = md_emit_alloc(c->e, 1, sizeof(*made));

            if (made) {
                static const md_torch_row row = { "slice", "",
                                                  md_torch_emit_slice, "" };

                *made = *c;
                memcpy(made->arg, args, sizeof(args));
                made->arg[4] = md_tv_int(1);
                made->row = &row;
                t->made = made;
                t->base = c->arg[0].v.t;
                t->seen = t->base->version;
                t->view = MD_TORCH_VIEW_SLICE;
                t->axis = axis;
                t->start = args[2];
                t->end = args[3];
            }
        }
        md_tv_append(c->b, out.v.list, c->out);
        at += size[i];
    }
    c->out = out;
}

static void split_every(md_torch_call *c, md_value_id x, int axis, int64_t size)
{
    int64_t total = md_torch_size(c, x, axis);
    int64_t *sizes;
    int64_t n;

    if (total < 0 || size <= 0 || total / size >= MD_TORCH_LIST_MAX) {
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "parts of %lld of an axis of free size", (long long)size);
        return;
    }
    n = total == 0 ? 1 : (total + size - 1) / size;
    sizes = md_emit_alloc(c->e, (size_t)n, sizeof(*sizes));
    for (int64_t i = 0; sizes && i < n; i++)
        sizes[i] = (i + 1) * size <= total ? size : total - i * size;
    if (sizes)
        ret_parts(c, x, axis, sizes, (uint32_t)n);
}

/* Of a free size: halves and so on by a Split into equal parts, the last one
 * smaller, as chunk has it. */
void md_torch_emit_chunk(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 2, x);
    int64_t n = md_torch_i(c, 1);
    int64_t total = md_torch_size(c, x, axis);

    if (n < 1 || n > MD_TORCH_LIST_MAX) {
        md_emit_fail(c->e, MD_INVALID, "%lld chunks", (long long)n);
    } else if (total >= 0) {
        split_every(c, x, axis, total == 0 ? 1 : (total + n - 1) / n);
    } else {
        md_value_id *part = md_emit_alloc(c->e, (size_t)n, sizeof(*part));

        if (!part)
            return;
        md_emit_op_n(
            c->e, part, (uint32_t)n, "Split", &x, 1,
            EMIT_ATTRS(EMIT_I("axis", axis), EMIT_I("num_outputs", n)));
        md_torch_ret_n(c, part, (uint32_t)n);
        if (c->out.kind == MD_TV_TUPLE)
            c->out.kind = MD_TV_LIST;
    }
}

void md_torch_emit_split(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    split_every(c, x, axis_arg(c, 2, x), md_torch_i(c, 1));
}

/* The first total % n parts are one larger. */
void md_torch_emit_tensor_split(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 2, x);
    int64_t n = md_torch_i(c, 1);
    int64_t total = md_torch_size(c, x, axis);
    int64_t *sizes;

    if (n < 1 || n > MD_TORCH_LIST_MAX || total < 0) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%lld parts of an axis of %lld",
                     (long long)n, (long long)total);
        return;
    }
    sizes = md_emit_alloc(c->e, (size_t)n, sizeof(*sizes));
    for (int64_t i = 0; sizes && i < n; i++)
        sizes[i] = total / n + (i < total % n);
    if (sizes)
        ret_parts(c, x, axis, sizes, (uint32_t)n);
}

static md_value_id as_axis(md_torch_call *c, const md_tv *v)
{
    if (!v->computed)
        return md_emit_ints(c->e, &v->v.i, 1);
    return md_emit_reshape(c->e, md_tv_id(c->b, v), (int64_t[]){ 1 }, 1);
}

/* By one Slice each where a size is computed. */
static void split_computed(md_torch_call *c, md_value_id x, int axis)
{
    const md_torch_list *l = c->arg[1].v.list;
    md_tv out = md_tv_list(c->b, MD_TV_LIST, l->n);
    md_tv at = md_tv_int(0);

    for (uint32_t i = 0; i < l->n && out.kind == MD_TV_LIST; i++) {
        md_tv end = md_torch_call_op(c->b, "add", (md_tv[]){ at, l->item[i] },
                                     2, NULL, NULL, 0);

        md_tv_append(c->b, out.v.list,
                     md_tv_tensor(c->b, cut(c, x, axis, as_axis(c, &at),
                                            as_axis(c, &end))));
        at = end;
    }
    c->out = out;
}

void md_torch_emit_split_sizes(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 2, x);
    uint32_t n = md_torch_n(c, 1);
    int64_t *sizes = md_emit_alloc(c->e, n, sizeof(*sizes));

    for (uint32_t i = 0; i < n; i++) {
        if (c->arg[1].v.list->item[i].computed) {
            split_computed(c, x, axis);
            return;
        }
    }
    if (sizes && n > 0) {
        (void)md_torch_ints(c, 1, sizes, (int)n);
        ret_parts(c, x, axis, sizes, n);
    }
}

void md_torch_emit_unbind(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 1, x);
    int64_t n = md_torch_size(c, x, axis);
    md_tv out;

    if (n < 0 || n > MD_TORCH_LIST_MAX) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "an axis of free size");
        return;
    }
    out = md_tv_list(c->b, MD_TV_LIST, (uint32_t)n);
    for (int64_t i = 0; i < n && out.kind == MD_TV_LIST; i++)
        md_tv_append(c->b, out.v.list,
                     md_torch_call_op(
                         c->b, "select",
                         (md_tv[]){ c->arg[0], md_tv_int(axis), md_tv_int(i) },
                         3, NULL, NULL, 0));
    c->out = out;
}

static md_tv bound(md_torch_call *c, uint32_t i, int64_t otherwise)
{
    return md_torch_given(c, i) ? c->arg[i] : md_tv_int(otherwise);
}

static bool is_whole(const md_tv *start, const md_tv *end, int64_t step)
{
    return !start->computed && start->v.i == 0 && !end->computed &&
           end->v.i == INT64_MAX && step == 1;
}

void md_torch_emit_slice(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 1, x);
    md_tv start = bound(c, 2, 0);
    md_tv end = bound(c, 3, INT64_MAX);
    int64_t step = c->arg[4].computed ? 0 : md_torch_i(c, 4); /* 0: free */
    md_value_id y = x;

    /* Up to the axis' own size is up to its end. */
    if (end.computed && is_axis_of(c, &end, x, axis))
        end = md_tv_int(INT64_MAX);
    if (!end.computed && md_torch_size(c, x, axis) >= 0 &&
        end.v.i >= md_torch_size(c, x, axis))
        end = md_tv_int(INT64_MAX);
    if (!is_whole(&start, &end, step))
        y = md_emit_op(c->e, "Slice",
                       (md_value_id[]){ x, as_axis(c, &start), as_axis(c, &end),
                                        MD_TORCH_INTS(c, axis),
                                        as_axis(c, &c->arg[4]) },
                       step == 1 ? 4 : 5, NULL);
    md_torch_ret_view(c, y, step == 1 ? MD_TORCH_VIEW_SLICE : MD_TORCH_NO_VIEW,
                      axis, start, end);
}

void md_torch_emit_narrow(md_torch_call *c)
{
    md_tv end = md_torch_call_op(c->b, "add", (md_tv[]){ c->arg[2], c->arg[3] },
                                 2, NULL, NULL, 0);
    md_torch_call s = *c;

    s.arg[3] = end;
    s.arg[4] = md_tv_int(1);
    md_torch_emit_slice(&s);
    c->out = s.out;
}

/* A negative index of an axis of known size, or one that is computed, is
 * Gather's as it is. */
void md_torch_emit_select(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = axis_arg(c, 1, x);
    md_tv end = md_torch_call_op(
        c->b, "add", (md_tv[]){ c->arg[2], md_tv_int(1) }, 2, NULL, NULL, 0);

    if (!c->arg[2].computed && c->arg[2].v.i == -1)
        end = md_tv_int(INT64_MAX);
    md_torch_ret_view(c,
                      md_emit_op(c->e, "Gather",
                                 (md_value_id[]){ x, md_tv_as(c->b, &c->arg[2],
                                                              MD_DTYPE_I64) },
                                 2, EMIT_ATTRS(EMIT_I("axis", axis))),
                      MD_TORCH_VIEW_SELECT, axis, c->arg[2], end);
}

void md_torch_emit_slice_scatter(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_tv start = bound(c, 3, 0);
    md_tv end = bound(c, 4, INT64_MAX);
    int axis = axis_arg(c, 2, x);

    if (md_torch_i(c, 5) != 1)
        md_emit_fail(c->e, MD_UNSUPPORTED, "steps of %lld",
                     (long long)md_torch_i(c, 5));
    md_torch_ret(c, md_torch_scatter(c->b, x, md_torch_x(c, 1), axis, &start,
                                     &end, false));
}

void md_torch_emit_select_scatter(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_tv end = md_torch_call_op(
        c->b, "add", (md_tv[]){ c->arg[3], md_tv_int(1) }, 2, NULL, NULL, 0);

    if (!c->arg[3].computed && c->arg[3].v.i == -1)
        end = md_tv_int(INT64_MAX);
    md_torch_ret(c,
                 md_torch_scatter(c->b, x, md_torch_x(c, 1), axis_arg(c, 2, x),
                                  &c->arg[3], &end, true));
}

/* --- turning around --- */

static md_value_id reversed(md_torch_call *c, md_value_id x,
                            const int64_t *axes, int n)
{
    int64_t start[MD_RANK_MAX], end[MD_RANK_MAX], step[MD_RANK_MAX];

    for (int i = 0; i < n; i++) {
        start[i] = INT64_MAX;
        end[i] = INT64_MIN + 1;
        step[i] = -1;
    }
    return md_emit_op(c->e, "Slice",
                      (md_value_id[]){ x, md_emit_ints(c->e, start, n),
                                       md_emit_ints(c->e, end, n),
                                       md_emit_ints(c->e, axes, n),
                                       md_emit_ints(c->e, step, n) },
                      5, NULL);
}

void md_torch_emit_flip(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, axes, MD_RANK_MAX);

    for (int i = 0; i < n; i++)
        axes[i] = md_torch_axis(c, axes[i], md_torch_rank(c, x));
    md_torch_ret(c, n > 0 ? reversed(c, x, axes, n) : x);
}

void md_torch_emit_flip_axis(md_torch_call *c)
{
    md_torch_ret(c, reversed(c, md_torch_x(c, 0),
                             (int64_t[]){ c->row->onnx[0] - '0' }, 1));
}

/* The last `by` elements of the axis come first: [-by, end), [0, -by). */
static md_value_id rolled(md_torch_call *c, md_value_id x, int axis, int64_t by)
{
    int64_t size = md_torch_size(c, x, axis);
    md_value_id at;

    if (size > 0)
        by = (by % size + size) % size;
    if (by == 0)
        return x;
    at = MD_TORCH_INTS(c, -by);
    return concat(
        c,
        (md_value_id[]){ cut(c, x, axis, at, MD_TORCH_INTS(c, INT64_MAX)),
                         cut(c, x, axis, MD_TORCH_INTS(c, 0), at) },
        2, axis);
}

void md_torch_emit_roll(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t by[MD_RANK_MAX], axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, by, MD_RANK_MAX);
    int n_axes = md_torch_ints(c, 2, axes, MD_RANK_MAX);

    if (n_axes == 0 && n == 1) {
        md_value_id flat = md_emit_reshape(c->e, x, (int64_t[]){ -1 }, 1);

        md_torch_ret(c, md_emit_op2(c->e, "Reshape", rolled(c, flat, 0, by[0]),
                                    md_emit_op1(c->e, "Shape", x)));
        return;
    }
    if (n != n_axes)
        md_emit_fail(c->e, MD_INVALID, "%d shifts along %d axes", n, n_axes);
    for (int i = 0; i < n && c->e->status == MD_OK; i++)
        x = rolled(c, x, md_torch_axis(c, axes[i], md_torch_rank(c, x)), by[i]);
    md_torch_ret(c, x);
}

void md_torch_emit_rot90(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t k = (md_torch_i(c, 1) % 4 + 4) % 4;
    int64_t axes[MD_RANK_MAX] = { 0, 1 };
    int64_t perm[MD_RANK_MAX];
    int rank = md_torch_rank(c, x);
    int n = md_torch_ints(c, 2, axes, MD_RANK_MAX);

    if (n == 0) {
        axes[0] = 0;
        axes[1] = 1;
    }
    for (int i = 0; i < 2; i++)
        axes[i] = md_torch_axis(c, axes[i], rank);
    identity(perm);
    perm[axes[0]] = axes[1];
    perm[axes[1]] = axes[0];
    if (k == 2)
        x = reversed(c, x, axes, 2);
    else if (k == 1)
        x = md_emit_transpose(c->e, reversed(c, x, axes + 1, 1), perm, rank);
    else if (k == 3)
        x = reversed(c, md_emit_transpose(c->e, x, perm, rank), axes + 1, 1);
    md_torch_ret(c, x);
}

void md_torch_emit_triangle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    md_value_id in[2] = { t == MD_DTYPE_BOOL
                              ? md_emit_cast(c->e, x, MD_DTYPE_I32)
                              : x,
                          md_tv_as(c->b, &c->arg[1], MD_DTYPE_I64) };

    x = md_emit_op(c->e, "Trilu", in, 2,
                   EMIT_ATTRS(EMIT_I("upper", c->row->onnx[0] == 'u')));
    md_torch_ret(c, md_emit_cast(c->e, x, t));
}

/* Elements [i, i + offset] of axes 0 and 1 by a flat index. */
void md_torch_emit_diagonal(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t offset = md_torch_i(c, 1);
    int64_t perm[MD_RANK_MAX], at[256];
    int a = axis_arg(c, 2, x), b = axis_arg(c, 3, x), n = 0, k = 0;
    int64_t rows = md_torch_size(c, x, a), columns = md_torch_size(c, x, b);

    for (int i = 0; i < rank; i++) {
        if (i != a && i != b)
            perm[k++] = i;
    }
    perm[k++] = a;
    perm[k++] = b;
    for (int64_t i = 0; i < rows; i++) {
        if (i + offset >= 0 && i + offset < columns && n < 256)
            at[n++] = i * columns + i + offset;
    }
    if (rows < 0 || columns < 0 || n == 256 || rank < 2) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of axes of %lld and %lld",
                     (long long)rows, (long long)columns);
        return;
    }
    x = merge(c, md_emit_transpose(c->e, x, perm, rank), rank - 2, rank - 1);
    md_torch_ret(c, md_emit_op(c->e, "Gather",
                               (md_value_id[]){ x, md_emit_ints(c->e, at, n) },
                               2, EMIT_ATTRS(EMIT_I("axis", rank - 2))));
}

void md_torch_emit_meshgrid(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 0);
    bool xy = strcmp(md_torch_s(c, 1), "xy") == 0;
    md_tv out = md_tv_list(c->b, MD_TV_LIST, n);
    md_value_id shape[MD_RANK_MAX];

    if (n == 0 || n > MD_RANK_MAX || out.kind != MD_TV_LIST) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%u axes", n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t axis = xy && i < 2 && n > 1 ? 1 - i : i;

        shape[axis] = md_emit_op1(c->e, "Shape",
                                  md_emit_reshape(c->e, md_torch_item(c, 0, i),
                                                  (int64_t[]){ -1 }, 1));
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t axis = xy && i < 2 && n > 1 ? 1 - i : i;
        int64_t dim[MD_RANK_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1 };
        md_value_id x;

        dim[axis] = -1;
        x = md_emit_reshape(c->e, md_torch_item(c, 0, i), dim, (int)n);
        x = md_emit_op2(c->e, "Expand", x, concat(c, shape, n, 0));
        md_tv_append(c->b, out.v.list, md_tv_tensor(c->b, x));
    }
    c->out = out;
}

/* --- pixels --- */

/* DepthToSpace is of [n, c, h, w]; other ranks are brought to it. */
static void as_picture(md_torch_call *c, const char *op,
                       const md_emit_attr *attrs)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    md_value_id y = x;

    if (rank < 3) {
        md_emit_fail(c->e, MD_INVALID, "of rank %d", rank);
        return;
    }
    if (rank == 3)
        y = md_emit_unsqueeze(c->e, x, 0);
    else if (rank > 4)
        y = merge(c, x, 0, rank - 4);
    y = md_emit_op(c->e, op, &y, 1, attrs);
    if (rank == 3)
        y = md_emit_squeeze(c->e, y, 0);
    else if (rank > 4)
        y = md_emit_op2(c->e, "Reshape", y,
                        concat(c,
                               (md_value_id[]){ dims_of(c, x, 0, rank - 3),
                                                dims_of(c, y, 1, 4) },
                               2, 0));
    md_torch_ret(c, y);
}

void md_torch_emit_pixel_shuffle(md_torch_call *c)
{
    as_picture(c, "DepthToSpace",
               EMIT_ATTRS(EMIT_I("blocksize", md_torch_i(c, 1)),
                          EMIT_S("mode", "CRD")));
}

/* [.., c, h, w] to [.., c, h/r, r, w/r, r] to [.., c * r * r, h/r, w/r]:
 * SpaceToDepth has another order. */
void md_torch_emit_pixel_unshuffle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t r = md_torch_i(c, 1);
    int64_t h = md_torch_size(c, x, rank - 2),
            w = md_torch_size(c, x, rank - 1);
    int64_t channels = md_torch_size(c, x, rank - 3);

    if (rank != 4 || h < 0 || w < 0 || channels < 0 || r < 1) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of rank %d and free sizes", rank);
        return;
    }
    x = md_emit_reshape(c->e, x, (int64_t[]){ 0, channels, h / r, r, w / r, r },
                        6);
    x = md_emit_transpose(c->e, x, (int64_t[]){ 0, 1, 3, 5, 2, 4 }, 6);
    md_torch_ret(
        c, md_emit_reshape(
               c->e, x, (int64_t[]){ 0, channels * r * r, h / r, w / r }, 4));
}

/* [n, g, c/g, ...] with axes 1 and 2 exchanged. */
void md_torch_emit_channel_shuffle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t g = md_torch_i(c, 1);
    int64_t channels = md_torch_size(c, x, 1);
    int64_t perm[MD_RANK_MAX];
    md_value_id y;

    if (rank < 3 || rank == MD_RANK_MAX || channels < 0 || g < 1) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of rank %d", rank);
        return;
    }
    y = md_emit_op2(
        c->e, "Reshape", x,
        concat(c,
               (md_value_id[]){ MD_TORCH_INTS(c, 0, g, channels / g),
                                dims_of(c, x, 2, rank) },
               2, 0));
    identity(perm);
    perm[1] = 2;
    perm[2] = 1;
    y = md_emit_transpose(c->e, y, perm, rank + 1);
    md_torch_ret(c, merge(c, y, 1, 2));
}

/* --- the same elements --- */

void md_torch_emit_same(md_torch_call *c)
{
    md_torch_ret(c, md_torch_x(c, 0));
}

void md_torch_emit_same_place(md_torch_call *c)
{
    c->out = c->arg[0];
}

/* Written in place by copy_. */
void md_torch_emit_copy_tensor(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id y =
        md_emit_cast(c->e, md_torch_x(c, 1), md_torch_dtype_of(c, x));

    md_torch_ret(c,
                 md_emit_op2(c->e, "Expand", y, md_emit_op1(c->e, "Shape", x)));
}

/* A tensor of that type already is itself. */
static void ret_cast(md_torch_call *c, md_value_id y)
{
    if (y == md_torch_x(c, 0))
        c->out = c->arg[0];
    else
        md_torch_ret(c, y);
}

void md_torch_emit_to_dtype(md_torch_call *c)
{
    ret_cast(c, md_torch_to_arg(c, md_torch_x(c, 0), 1));
}

void md_torch_emit_to(md_torch_call *c)
{
    ret_cast(c, md_torch_to_arg(c, md_torch_x(c, 0),
                                (uint32_t)(c->row->onnx[0] - '0')));
}

void md_torch_emit_type_as(md_torch_call *c)
{
    ret_cast(c, md_emit_cast(c->e, md_torch_x(c, 0),
                             md_torch_dtype_of(c, md_torch_x(c, 1))));
}

/* --- padding --- */

/* Pairs from the last axis on, as PyTorch has them, to ONNX's begins and ends
 * of these axes. */
static void pad_with(md_torch_call *c, const char *mode, const md_tv *value)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    const md_torch_list *l = c->arg[1].v.list;
    md_tv pads = md_tv_list(c->b, MD_TV_LIST, 2 * MD_RANK_MAX);
    int n = md_tv_is_list(&c->arg[1]) ? (int)l->n / 2 : 0;
    int64_t axes[MD_RANK_MAX];
    md_value_id in[4];

    if (n == 0 || n > rank || pads.kind != MD_TV_LIST) {
        md_emit_fail(c->e, MD_INVALID, "%d axes of %d", n, rank);
        return;
    }
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < n; i++)
            md_tv_append(c->b, pads.v.list, l->item[2 * (n - 1 - i) + side]);
    }
    for (int i = 0; i < n; i++)
        axes[i] = rank - n + i;
    in[0] = x;
    in[1] = md_torch_list_id(c->b, pads.v.list);
    in[2] = value && value->kind != MD_TV_NONE
                ? md_tv_as(c->b, value, md_torch_dtype_of(c, x))
                : MD_VALUE_NONE;
    in[3] = md_emit_ints(c->e, axes, n);
    md_torch_ret(
        c, md_emit_op(c->e, "Pad", in, 4, EMIT_ATTRS(EMIT_S("mode", mode))));
}

void md_torch_emit_pad_constant(md_torch_call *c)
{
    pad_with(c, "constant", &c->arg[2]);
}

void md_torch_emit_pad_mode(md_torch_call *c)
{
    pad_with(c, c->row->onnx, NULL);
}

void md_torch_emit_pad(md_torch_call *c)
{
    static const char *const modes[][2] = { { "constant", "constant" },
                                            { "reflect", "reflect" },
                                            { "replicate", "edge" },
                                            { "circular", "wrap" } };

    for (size_t i = 0; i < MD_COUNT(modes); i++) {
        if (strcmp(md_torch_s(c, 2), modes[i][0]) == 0) {
            pad_with(c, modes[i][1], i == 0 ? &c->arg[3] : NULL);
            return;
        }
    }
    md_emit_fail(c->e, MD_UNSUPPORTED, "mode '%.40s'", md_torch_s(c, 2));
}

/* Windows along an axis, each as a new last axis: indices [n, size]. */
void md_torch_emit_unfold(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int axis = axis_arg(c, 1, x);
    int64_t size = md_torch_i(c, 2), step = md_torch_i(c, 3);
    int64_t total = md_torch_size(c, x, axis);
    int64_t perm[MD_RANK_MAX];
    md_tensor t = MD_TENSOR_INIT;
    int64_t n;

    if (total < 0 || size < 1 || step < 1 || size > total ||
        rank == MD_RANK_MAX || total > 1 << 20) {
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "windows of %lld along an axis of %lld", (long long)size,
                     (long long)total);
        return;
    }
    n = (total - size) / step + 1;
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, MD_DTYPE_I64,
                                          &(md_shape){ 2, { n, size } },
                                          c->e->model->alloc, c->e->err)))
        return;
    for (int64_t i = 0; i < n * size; i++)
        md_tensor_set_i64(&t, i, i / size * step + i % size);
    x = md_emit_op(c->e, "Gather", (md_value_id[]){ x, md_emit_const(c->e, t) },
                   2, EMIT_ATTRS(EMIT_I("axis", axis)));
    for (int i = 0; i <= rank; i++)
        perm[i] = i <= axis ? i : i == rank ? axis + 1 : i + 1;
    md_torch_ret(c, md_emit_transpose(c->e, x, perm, rank + 1));
}
