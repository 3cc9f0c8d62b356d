#include "ops/common/body.h"

#include <string.h>

uint32_t md_body__n_args(const md_node *n)
{
    return n->n_in - n->n_captures;
}

uint32_t md_body__n_inputs(const md_graph *body)
{
    return body->n_inputs - body->n_captures;
}

md_status md_body__find(const md_graph **out, const md_node *n,
                        const char *name, uint32_t n_in, uint32_t n_out,
                        md_error *err)
{
    const md_attr *a = md_node_attr(n, name);

    if (!a || a->type != MD_ATTR_GRAPH)
        return md_fail(err, MD_INVALID, "attribute '%s' is missing", name);
    if (md_body__n_inputs(a->v.g) != n_in || a->v.g->n_outputs != n_out)
        return md_fail(err, MD_INVALID,
                       "'%s' has %u inputs and %u outputs, %u and %u expected",
                       name, md_body__n_inputs(a->v.g), a->v.g->n_outputs, n_in,
                       n_out);
    *out = a->v.g;
    return MD_OK;
}

/* The standard asks for a scalar or [1]; exporters write [1,1] too. */
md_status md_body__one(const md_infer *c, uint32_t i, const char *what,
                       md_error *err)
{
    const md_type *t = md_infer_has(c, i) ? c->in[i] : NULL;

    for (int d = 0; t && t->has_rank && d < t->rank; d++) {
        if (md_dim_is_const(t->dim[d]) && t->dim[d].k != 1)
            return md_fail(err, MD_INVALID,
                           "%s has a dim of %lld, one element expected", what,
                           (long long)t->dim[d].k);
    }
    return MD_OK;
}

bool md_body__same_type(const md_type *a, const md_type *b)
{
    if (a->dtype != b->dtype || a->has_rank != b->has_rank)
        return false;
    if (a->has_rank && a->rank != b->rank)
        return false;
    for (int i = 0; a->has_rank && i < a->rank; i++) {
        if (!md_dim_equal(a->dim[i], b->dim[i]))
            return false;
    }
    return true;
}

md_status md_body__join(const md_infer *c, md_type *out, const md_type *a,
                        const md_type *b, const char *what, md_error *err)
{
    md_type t = *a;

    if (a->dtype == MD_DTYPE_NONE && !a->has_rank) {
        t = *b;
    } else if (b->dtype == MD_DTYPE_NONE && !b->has_rank &&
               b->kind == MD_KIND_TENSOR) {
        t.has_rank = false;
    } else if (a->kind != b->kind || a->of != b->of ||
               (a->dtype != b->dtype && a->dtype != MD_DTYPE_NONE &&
                b->dtype != MD_DTYPE_NONE)) {
        char x[MD_SHAPE_TEXT], y[MD_SHAPE_TEXT];
        const md_type p = { .kind = a->kind, .of = a->of, .dtype = a->dtype };
        const md_type q = { .kind = b->kind, .of = b->of, .dtype = b->dtype };

        return md_fail(err, MD_INVALID, "%s is %s and %s, one type expected",
                       what, md_type_format(x, sizeof(x), NULL, &p),
                       md_type_format(y, sizeof(y), NULL, &q));
    } else if (!a->has_rank || !b->has_rank || a->rank != b->rank) {
        t.has_rank = false;
    }
    if (t.dtype == MD_DTYPE_NONE)
        t.dtype = b->dtype;
    for (int i = 0; t.has_rank && b->has_rank && i < t.rank; i++) {
        if (!md_dim_equal(t.dim[i], b->dim[i]))
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
    }
    *out = t;
    return MD_OK;
}

md_status md_body__tensors(md_tensor **out, md_arena *ar, uint32_t n,
                           md_error *err)
{
    return md_exec__scratch(out, ar, n, sizeof(**out), err);
}

md_status md_body__pointers(const md_tensor ***out, md_arena *ar, uint32_t n,
                            md_error *err)
{
    return md_exec__scratch(out, ar, n, sizeof(**out), err);
}

void md_body__release(md_tensor *t, uint32_t n)
{
    for (uint32_t i = 0; i < n && t; i++)
        md_tensor_release(&t[i]);
}

/* A dim that holds for a and for what the body makes of it, b.  A symbol that
 * was made here stands for any number; others may stand in captures too. */
static md_status settle_dim(const md_infer *c, md_dim *a, md_dim b,
                            uint32_t first_own, md_error *err)
{
    if (md_dim_equal(*a, b) || (a->sym && a->sym >= first_own))
        return MD_OK;
    return md_infer__fresh(c, a, err);
}

static md_status settle_type(const md_infer *c, md_type *a, const md_type *b,
                             uint32_t first_own, md_error *err)
{
    md_type joined, item = *b;

    if (a->kind == MD_KIND_OPTIONAL && b->kind == a->of) {
        item.kind = a->kind; /* what comes back is put into an optional */
        item.of = a->of;
    }
    b = &item;
    MD_TRY(md_body__join(c, &joined, a, b, "a carried value", err));
    a->dtype = joined.dtype;
    a->has_rank = a->has_rank && joined.has_rank;
    for (int d = 0; a->has_rank && d < a->rank; d++)
        MD_TRY(settle_dim(c, &a->dim[d], b->dim[d], first_own, err));
    return MD_OK;
}

/* Each round makes some dim or rank unknown, or is the last one. */
md_status md_body__settle(const md_infer *c, const md_graph *body, md_type *in,
                          md_type *out, uint32_t first, uint32_t from,
                          uint32_t n, md_error *err)
{
    uint32_t first_own = c->model ? c->model->n_symbols : UINT32_MAX;
    bool settled = false;

    while (!settled) {
        settled = true;
        MD_TRY(c->body(c, body, in, out, err));
        for (uint32_t i = 0; i < n; i++) {
            md_type before = in[first + i];

            MD_TRY(
                settle_type(c, &in[first + i], &out[from + i], first_own, err));
            settled &= md_body__same_type(&before, &in[first + i]);
        }
    }
    return MD_OK;
}

/* ---- slices ---- */

/* Row-major strides, in elements. */
static void strides_of(int64_t *stride, const md_shape *shape)
{
    int64_t n = 1;

    for (int d = shape->rank; d-- > 0;) {
        stride[d] = n;
        n *= shape->dim[d];
    }
}

static void insert_dim(md_shape *out, const md_shape *shape, int axis,
                       int64_t dim)
{
    *out = (md_shape){ .rank = shape->rank + 1 };
    for (int d = 0; d < out->rank; d++)
        out->dim[d] = d < axis   ? shape->dim[d]
                      : d > axis ? shape->dim[d - 1]
                                 : dim;
}

md_status md_body__slice(md_tensor *out, const md_tensor *t, int axis,
                         int64_t index, const md_alloc *alloc, md_error *err)
{
    md_shape shape = { .rank = t->shape.rank - 1 };
    md_place to = { .at = 0 }, from = { .t = (md_tensor *)(uintptr_t)t };
    unsigned bits = md_dtype_bits(t->dtype);
    int64_t stride[MD_RANK_MAX];

    strides_of(stride, &t->shape);
    for (int d = 0, o = 0; d < t->shape.rank; d++) {
        if (d == axis)
            continue;
        shape.dim[o] = t->shape.dim[d];
        from.stride[o++] = stride[d];
    }
    from.at = index * stride[axis];
    if (md_shape_span(&t->shape, 0, axis) == 1 && bits % 8 == 0) {
        *out = (md_tensor){ .dtype = t->dtype, .shape = shape };
        out->data = (unsigned char *)t->data + (size_t)from.at * (bits / 8);
        return MD_OK;
    }
    if (!out->owner) {
        *out = (md_tensor)MD_TENSOR_INIT;
        MD_TRY(md_tensor_alloc_unset(out, t->dtype, &shape, alloc, err));
    }
    to.t = out;
    strides_of(to.stride, &shape);
    if (md_tensor_n(out) > 0)
        md_move(&to, &from, &shape);
    return MD_OK;
}

md_type md_body__output_type(const md_graph *body, uint32_t i)
{
    md_type t = body->values[body->outputs[i]].type;
    const md_type *declared = body->declared ? &body->declared[i] : &t;

    if (!t.has_rank || t.dtype == MD_DTYPE_NONE)
        t = *declared;
    for (int d = 0; d < t.rank && t.has_rank; d++) {
        if (!md_dim_is_const(t.dim[d]) && declared->has_rank &&
            declared->rank == t.rank)
            t.dim[d] = declared->dim[d];
    }
    return t;
}

md_status md_body__no_slices(md_tensor *out, const md_type *type, int axis,
                             const md_alloc *alloc, md_error *err)
{
    md_shape slice = { .rank = type->has_rank ? type->rank : 0 };
    md_shape shape;

    for (int d = 0; d < slice.rank; d++)
        slice.dim[d] = md_dim_is_const(type->dim[d]) ? type->dim[d].k : 0;
    if (slice.rank == MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED,
                       "scan output of rank %d, at most %d supported",
                       MD_RANK_MAX + 1, MD_RANK_MAX);
    insert_dim(&shape, &slice, axis, 0);
    return md_tensor_alloc(out, type->dtype, &shape, alloc, err);
}

static md_status check_slice(const md_stack *s, const md_tensor *slice,
                             md_error *err)
{
    char a[MD_SHAPE_TEXT], b[MD_SHAPE_TEXT];

    if (slice->kind != MD_KIND_TENSOR)
        return md_fail(err, MD_INVALID,
                       "a scan output is of kind %s, a tensor expected",
                       md_kind_name(slice->kind));
    if (slice->shape.rank == MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED,
                       "scan output of rank %d, at most %d supported",
                       MD_RANK_MAX + 1, MD_RANK_MAX);
    if (!s->begun || (md_shape_equal(&s->slice, &slice->shape) &&
                      s->t.dtype == slice->dtype))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "scan output is %s%s in trip %lld, %s%s expected as before",
                   md_dtype_name(slice->dtype),
                   md_shape_format(a, sizeof(a), &slice->shape),
                   (long long)s->n, md_dtype_name(s->t.dtype),
                   md_shape_format(b, sizeof(b), &s->slice));
}

static md_status grow(md_stack *s, int64_t expected, md_error *err)
{
    enum {
        FIRST = 16 /* slices to begin with */
    };
    int64_t cap = s->cap ? s->cap * 2 : FIRST;
    md_shape shape;
    md_tensor t;

    if (expected > s->n && expected < cap)
        cap = expected;
    insert_dim(&shape, &s->slice, 0, cap);
    MD_TRY(md_tensor_alloc(&t, s->t.dtype, &shape, s->alloc, err));
    if (s->cap > 0 && s->t.data)
        memcpy(t.data, s->t.data, md_tensor_size(&s->t));
    md_tensor_release(&s->t);
    s->t = t;
    s->cap = cap;
    return MD_OK;
}

static md_status keep_text(md_stack *s, int64_t at, int64_t n, md_error *err)
{
    md_str *str = (md_str *)s->t.data + at;

    for (int64_t i = 0; i < n; i++) {
        str[i].p = md_arena_strndup(&s->text, str[i].p, str[i].n);
        if (!str[i].p)
            return md_fail_nomem(err, str[i].n);
    }
    return MD_OK;
}

md_status md_stack_push(md_stack *s, const md_tensor *slice, int64_t expected,
                        md_error *err)
{
    int64_t n = md_tensor_n(slice);
    md_place to, from = { .t = (md_tensor *)(uintptr_t)slice };

    MD_TRY(check_slice(s, slice, err));
    if (!s->begun) {
        s->begun = true;
        s->slice = slice->shape;
        s->t.dtype = slice->dtype;
        md_arena_init(&s->text, s->alloc, 0);
    }
    if (s->n == s->cap)
        MD_TRY(grow(s, expected, err));
    if (n > 0) {
        to = (md_place){ .t = &s->t, .at = s->n * n };
        strides_of(to.stride, &slice->shape);
        strides_of(from.stride, &slice->shape);
        md_move(&to, &from, &slice->shape);
    }
    if (slice->dtype == MD_DTYPE_STRING)
        MD_TRY(keep_text(s, s->n * n, n, err));
    s->n++;
    return MD_OK;
}

md_status md_stack_take(md_tensor *out, md_stack *s, int axis, bool reverse,
                        md_error *err)
{
    int64_t n = md_shape_n(&s->slice);
    md_place to = { .at = 0 }, from = { .t = &s->t };
    int64_t stride[MD_RANK_MAX] = { 0 };
    md_shape shape;
    md_status st;

    if (axis == 0 && !reverse) {
        s->t.shape.dim[0] = s->n;
        MD_TRY(md_tensor_own_text(&s->t, err));
        *out = s->t;
        s->t = (md_tensor)MD_TENSOR_INIT;
        return MD_OK;
    }
    insert_dim(&shape, &s->slice, axis, s->n);
    MD_TRY(md_tensor_alloc_unset(out, s->t.dtype, &shape, s->alloc, err));
    to.t = out;
    strides_of(to.stride, &shape);
    strides_of(stride, &s->slice);
    for (int d = 0; d < shape.rank; d++)
        from.stride[d] = d < axis   ? stride[d]
                         : d > axis ? stride[d - 1]
                         : reverse  ? -n
                                    : n;
    from.at = reverse ? (s->n - 1) * n : 0;
    if (md_tensor_n(out) > 0)
        md_move(&to, &from, &shape);
    st = md_tensor_own_text(out, err);
    if (st != MD_OK)
        md_tensor_release(out);
    return st;
}

void md_stack_release(md_stack *s)
{
    md_tensor_release(&s->t);
    if (s->begun)
        md_arena_release(&s->text);
}

md_status md_body__check_one(const md_infer *c, uint32_t i, uint32_t types,
                             const char *what, md_error *err)
{
    md_shape shape;

    MD_TRY(md_infer__may(c, i, types, err));
    if (md_infer_has(c, i) && md_type_static(c->in[i], &shape) &&
        md_shape_n(&shape) != 1)
        return md_fail(err, MD_INVALID, "%s has %lld elements, 1 expected",
                       what, (long long)md_shape_n(&shape));
    return MD_OK;
}
