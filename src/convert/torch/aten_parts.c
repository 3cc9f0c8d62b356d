/* Parts of tensors, and tensors of parts. */
#include <string.h>

#include "convert/torch/build.h"

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
    md_torch_ret(c, keep ? x : md_torch_merge(c, x, axis, axis + 1));
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
        md_torch_ret(c,
                     md_torch_concat(c, v, kept, md_torch_axis_at(c, 1, v[0])));
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
        md_torch_ret(c, md_torch_concat(c, v, n, axis));
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
        md_torch_ret(c, md_torch_concat(c, v, n, axis));
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
    int axis = md_torch_axis_at(c, 2, x);
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

    split_every(c, x, md_torch_axis_at(c, 2, x), md_torch_i(c, 1));
}

/* The first total % n parts are one larger. */
void md_torch_emit_tensor_split(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis_at(c, 2, x);
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

        md_tv_append(
            c->b, out.v.list,
            md_tv_tensor(c->b, md_torch_cut(c, x, axis, as_axis(c, &at),
                                            as_axis(c, &end))));
        at = end;
    }
    c->out = out;
}

void md_torch_emit_split_sizes(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis_at(c, 2, x);
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
    int axis = md_torch_axis_at(c, 1, x);
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
    int axis = md_torch_axis_at(c, 1, x);
    md_tv start = bound(c, 2, 0);
    md_tv end = bound(c, 3, INT64_MAX);
    int64_t step = c->arg[4].computed ? 0 : md_torch_i(c, 4); /* 0: free */
    md_value_id y = x;

    /* Up to the axis' own size is up to its end. */
    if (end.computed && md_torch_is_axis_of(c, &end, x, axis))
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
    int axis = md_torch_axis_at(c, 1, x);
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
    int axis = md_torch_axis_at(c, 2, x);

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
    md_torch_ret(c, md_torch_scatter(c->b, x, md_torch_x(c, 1),
                                     md_torch_axis_at(c, 2, x), &c->arg[3],
                                     &end, true));
}
