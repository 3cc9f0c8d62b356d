/* Values of the program, and writing into tensors in place. */
#include <string.h>

#include "base/size.h"
#include "convert/torch/build.h"

const char *md_tv_kind_text(const md_tv *v)
{
    static const char *const names[] = {
        "None", "bool",  "int",  "float",  "text",     "tensor",
        "list", "tuple", "dict", "object", "function", "lost value",
    };

    return names[v->kind];
}

static md_torch_tensor *new_tensor(md_torch *b, md_value_id id)
{
    static md_torch_tensor nobody;
    md_torch_tensor *t = md_emit_alloc(&b->e, 1, sizeof(*t));

    if (!t)
        return &nobody; /* the build has failed: nobody looks at it */
    t->id = id;
    t->home = b->e.s;
    return t;
}

md_tv md_tv_tensor(md_torch *b, md_value_id id)
{
    if (b->e.status != MD_OK || id == MD_VALUE_NONE)
        return (md_tv){ .kind = MD_TV_LOST, .v.s = "after a failure" };
    return (md_tv){ .kind = MD_TV_TENSOR, .v.t = new_tensor(b, id) };
}

md_tv md_tv_computed(md_torch *b, md_tv_kind kind, md_value_id id)
{
    const md_tensor *c = md_emit_cdata(&b->e, id);

    if (b->e.status != MD_OK || id == MD_VALUE_NONE)
        return (md_tv){ .kind = MD_TV_LOST, .v.s = "after a failure" };
    if (c && md_tensor_n(c) == 1) {
        if (kind == MD_TV_FLOAT)
            return md_tv_float(md_tensor_get_f64(c, 0));
        return (md_tv){ .kind = kind, .v.i = md_tensor_get_i64(c, 0) };
    }
    return (md_tv){ .kind = kind, .computed = true, .v.t = new_tensor(b, id) };
}

md_tv md_tv_list(md_torch *b, md_tv_kind kind, uint32_t n)
{
    md_torch_list *list = md_emit_alloc(&b->e, 1, sizeof(*list));
    md_tv v = { .kind = kind, .v.list = list };

    if (list)
        list->item = md_emit_alloc(&b->e, n, sizeof(*list->item));
    if (!list || !list->item)
        return (md_tv){ .kind = MD_TV_LOST, .v.s = "after a failure" };
    list->cap = n;
    return v;
}

void md_tv_append(md_torch *b, md_torch_list *list, md_tv v)
{
    if (b->e.status != MD_OK)
        return;
    if (list->n >= MD_TORCH_LIST_MAX) {
        md_emit_fail(&b->e, MD_TOO_LARGE, "a list of more than %d items",
                     MD_TORCH_LIST_MAX);
        return;
    }
    while (list->n >= list->cap) {
        if (!md_emit_ok(&b->e,
                        md_arena_grow(b->e.arena, &list->item, &list->cap,
                                      list->n, sizeof(*list->item), b->e.err)))
            return;
    }
    list->item[list->n++] = v;
}

void md_torch_refresh(md_torch *b, md_torch_tensor *t)
{
    md_torch_call c;

    if (!t->base || b->e.status != MD_OK)
        return;
    md_torch_refresh(b, t->base);
    if (t->seen == t->base->version)
        return;
    c = *t->made;
    c.row->emit(&c);
    if (b->e.status != MD_OK || c.out.kind != MD_TV_TENSOR)
        return;
    t->id = c.out.v.t->id;
    t->home = b->e.s;
    t->seen = t->base->version;
    t->version++;
}

md_value_id md_tv_id(md_torch *b, const md_tv *v)
{
    md_emit *e = &b->e;

    if (e->status != MD_OK)
        return MD_VALUE_NONE;
    if (v->kind == MD_TV_TENSOR || v->computed) {
        md_torch_refresh(b, v->v.t);
        return md_emit_capture(e, v->v.t->home, v->v.t->id);
    }
    switch (v->kind) {
    case MD_TV_BOOL:
        return md_emit_number(e, MD_DTYPE_BOOL, (double)v->v.i);
    case MD_TV_INT:
        return md_emit_int(e, v->v.i);
    case MD_TV_FLOAT:
        return md_emit_number(e, MD_DTYPE_F64, v->v.f);
    case MD_TV_LOST:
        md_emit_fail(e, MD_UNSUPPORTED, "a value %s", v->v.s);
        return MD_VALUE_NONE;
    default:
        md_emit_fail(e, MD_CORRUPT, "%s where a tensor is expected",
                     md_tv_kind_text(v));
        return MD_VALUE_NONE;
    }
}

md_value_id md_tv_as(md_torch *b, const md_tv *v, md_dtype dtype)
{
    if (!v->computed && v->kind == MD_TV_FLOAT)
        return md_emit_number(&b->e, dtype, v->v.f);
    if (!v->computed && md_tv_is_number(v) && dtype != MD_DTYPE_I64)
        return md_emit_number(&b->e, dtype, (double)v->v.i);
    return md_emit_cast(&b->e, md_tv_id(b, v), dtype);
}

bool md_tv_dim(md_dim *out, md_torch *b, const md_tv *v)
{
    const md_value *x;

    if (b->e.status != MD_OK || v->kind != MD_TV_INT)
        return false;
    if (!v->computed) {
        *out = MD_DIM(v->v.i);
        return true;
    }
    x = md_graph_value(v->v.t->home->g, v->v.t->id);
    if (!x->data)
        return false;
    *out = x->data[0];
    return out->sym == 0 || b->e.model->symbols[out->sym] != NULL;
}

/* --- writing in place --- */

void md_torch_note(md_torch *b, md_torch_change change)
{
    if (!b->noting || b->e.status != MD_OK ||
        !md_emit_ok(&b->e,
                    md_arena_grow(b->e.arena, &b->changes, &b->cap_changes,
                                  b->n_changes, sizeof(*b->changes), b->e.err)))
        return;
    b->changes[b->n_changes++] = change;
}

static md_value_id slice(md_torch *b, md_value_id x, int axis, md_value_id from,
                         md_value_id to)
{
    return md_emit_op(
        &b->e, "Slice",
        (md_value_id[]){ x, from, to,
                         md_emit_ints(&b->e, (int64_t[]){ axis }, 1) },
        4, NULL);
}

static md_value_id one(md_torch *b, const md_tv *v)
{
    if (!v->computed)
        return md_emit_ints(&b->e, &v->v.i, 1);
    return md_emit_reshape(&b->e, md_tv_id(b, v), (int64_t[]){ 1 }, 1);
}

static bool is_zero(const md_tv *v)
{
    return !v->computed && v->v.i == 0;
}

md_value_id md_torch_scatter(md_torch *b, md_value_id base, md_value_id x,
                             int axis, const md_tv *start, const md_tv *end,
                             bool select)
{
    md_emit *e = &b->e;
    md_value_id part[3];
    uint32_t n = 0;

    if (select)
        x = md_emit_unsqueeze(e, x, axis);
    if (!is_zero(start))
        part[n++] = slice(b, base, axis, md_emit_ints(e, (int64_t[]){ 0 }, 1),
                          one(b, start));
    part[n++] = x;
    if (select || end->computed || end->v.i != INT64_MAX)
        part[n++] = slice(b, base, axis, one(b, end),
                          md_emit_ints(e, (int64_t[]){ INT64_MAX }, 1));
    if (n == 1)
        return part[0];
    return md_emit_op(e, "Concat", part, n, EMIT_ATTRS(EMIT_I("axis", axis)));
}

static md_value_id shape_of(md_torch *b, md_value_id x)
{
    return md_emit_op1(&b->e, "Shape", x);
}

/* What the base becomes when its view t is `id`. */
static md_value_id into_base(md_torch *b, md_torch_tensor *t, md_value_id id)
{
    md_tv base = { .kind = MD_TV_TENSOR, .v.t = t->base };
    md_value_id x = md_tv_id(b, &base);

    switch (t->view) {
    case MD_TORCH_VIEW_SLICE:
    case MD_TORCH_VIEW_SELECT:
        return md_torch_scatter(b, x, id, t->axis, &t->start, &t->end,
                                t->view == MD_TORCH_VIEW_SELECT);
    case MD_TORCH_VIEW_SHAPE:
        return md_emit_op2(&b->e, "Reshape", id, shape_of(b, x));
    case MD_TORCH_VIEW_PERM:
        return md_emit_transpose(&b->e, id, t->inverse,
                                 md_emit_type(&b->e, id)->rank);
    default:
        md_emit_fail(&b->e, MD_UNSUPPORTED, "writing into such a view");
        return MD_VALUE_NONE;
    }
}

void md_torch_write(md_torch *b, md_torch_tensor *t, md_value_id id)
{
    if (b->e.status != MD_OK)
        return;
    md_torch_note(b, (md_torch_change){ .kind = MD_TORCH_CHANGE_TENSOR,
                                        .what = t,
                                        .old_tensor = *t });
    if (t->base) {
        md_torch_write(b, t->base, into_base(b, t, id));
        t->seen = t->base->version;
    }
    t->id = id;
    t->home = b->e.s;
    t->version++;
}
