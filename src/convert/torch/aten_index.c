/* By indices: gathering, scattering, embeddings. */
#include <string.h>

#include "convert/torch/build.h"

static md_value_id at_axis(md_torch_call *c, const char *op, md_value_id x,
                           md_value_id at, int axis)
{
    return md_emit_op(c->e, op, (md_value_id[]){ x, at }, 2,
                      EMIT_ATTRS(EMIT_I("axis", axis)));
}

static bool is_index(md_dtype t)
{
    return t == MD_DTYPE_I64 || t == MD_DTYPE_I32;
}

/* Indices as PyTorch takes them; other types are refused, so that a guess of
 * an input's type is one that can be. */
static md_value_id indices(md_torch_call *c, uint32_t i)
{
    md_value_id x = md_torch_x(c, i);

    if (c->e->status == MD_OK && !is_index(md_torch_dtype_of(c, x)))
        md_emit_fail(c->e, MD_INVALID, "indices of %s",
                     md_dtype_name(md_torch_dtype_of(c, x)));
    return x;
}

void md_torch_emit_index_select(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(
        c, at_axis(c, "Gather", x, indices(c, 2), md_torch_axis_at(c, 1, x)));
}

/* Indices may have fewer elements than x on other axes than the one. */
static md_value_id shrink_to(md_torch_call *c, md_value_id x, md_value_id at,
                             int axis)
{
    int rank = md_torch_rank(c, x);

    for (int i = 0; i < rank; i++) {
        const md_type *a = md_torch_type(c, x), *b = md_torch_type(c, at);

        if (i == axis || md_dim_equal(a->dim[i], b->dim[i]))
            continue;
        x = md_emit_op(
            c->e, "Slice",
            (md_value_id[]){ x, MD_TORCH_INTS(c, 0),
                             md_emit_op(c->e, "Shape", &at, 1,
                                        EMIT_ATTRS(EMIT_I("start", i),
                                                   EMIT_I("end", i + 1))),
                             MD_TORCH_INTS(c, i) },
            4, NULL);
    }
    return x;
}

void md_torch_emit_gather(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id at = indices(c, 2);
    int axis = md_torch_axis_at(c, 1, x);

    if (md_torch_rank(c, x) == 0 || md_torch_rank(c, at) != md_torch_rank(c, x))
        md_emit_fail(c->e, MD_UNSUPPORTED, "indices of rank %d for rank %d",
                     md_torch_rank(c, at), md_torch_rank(c, x));
    if (c->e->status == MD_OK)
        md_torch_ret(c, at_axis(c, "GatherElements", shrink_to(c, x, at, axis),
                                at, axis));
}

void md_torch_emit_gather_wide(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id at = indices(c, 1);
    int axis = 0;

    if (md_torch_given(c, 2)) {
        axis = md_torch_axis_at(c, 2, x);
    } else {
        x = md_emit_reshape(c->e, x, (int64_t[]){ -1 }, 1);
        at = md_emit_reshape(c->e, at, (int64_t[]){ -1 }, 1);
    }
    md_torch_ret(c, at_axis(c, "GatherElements", x, at, axis));
}

/* --- x[a, :, b] --- */

/* What stands in the brackets. */
typedef struct brackets {
    md_value_id at[MD_RANK_MAX]; /* MD_VALUE_NONE: a colon */
    int n, n_given, first;
    bool adjacent;
} brackets;

/* A mask of bools is as many tensors of indices as it has axes. */
static void add_mask(md_torch_call *c, brackets *b, md_value_id mask)
{
    int rank = md_torch_rank(c, mask);
    md_value_id found = md_emit_op1(c->e, "NonZero", mask);

    for (int i = 0; i < rank && b->n < MD_RANK_MAX; i++)
        b->at[b->n++] = at_axis(c, "Gather", found, md_emit_int(c->e, i), 0);
}

static void read_brackets(md_torch_call *c, brackets *b)
{
    const md_torch_list *l = c->arg[1].v.list;
    int last = -1;

    *b = (brackets){ .first = -1, .adjacent = true };
    for (uint32_t i = 0; i < l->n && b->n < MD_RANK_MAX; i++) {
        md_value_id x;

        if (l->item[i].kind == MD_TV_NONE) {
            b->at[b->n++] = MD_VALUE_NONE;
            continue;
        }
        x = md_tv_id(c->b, &l->item[i]);
        if (md_torch_dtype_of(c, x) == MD_DTYPE_BOOL)
            add_mask(c, b, x);
        else
            b->at[b->n++] = x;
    }
    for (int i = 0; i < b->n; i++) {
        if (b->at[i] == MD_VALUE_NONE)
            continue;
        if (b->first < 0)
            b->first = i;
        else if (last != i - 1)
            b->adjacent = false;
        last = i;
        b->n_given++;
    }
    if (b->n_given == 0)
        md_emit_fail(c->e, MD_UNSUPPORTED, "no indices");
}

/* All tensors of indices, broadcast to each other, as [.., n_given]. */
static md_value_id points(md_torch_call *c, const brackets *b)
{
    md_value_id shape = MD_VALUE_NONE;
    md_value_id part[MD_RANK_MAX];
    uint32_t n = 0;
    md_value_id sum = MD_VALUE_NONE;

    for (int i = 0; i < b->n && b->n_given > 1; i++) {
        if (b->at[i] == MD_VALUE_NONE)
            continue;
        sum = sum == MD_VALUE_NONE ? b->at[i]
                                   : md_emit_op2(c->e, "Add", sum, b->at[i]);
    }
    if (b->n_given > 1)
        shape = md_emit_op1(c->e, "Shape", sum);
    for (int i = 0; i < b->n; i++) {
        md_value_id x = b->at[i];

        if (x == MD_VALUE_NONE)
            continue;
        x = md_emit_cast(c->e, x, MD_DTYPE_I64);
        if (shape != MD_VALUE_NONE)
            x = md_emit_op2(c->e, "Expand", x, shape);
        part[n++] = md_emit_unsqueeze(c->e, x, -1);
    }
    return n == 1 ? part[0]
                  : md_emit_op(c->e, "Concat", part, n,
                               EMIT_ATTRS(EMIT_I("axis", -1)));
}

/* Axes that are indexed in front, others behind. */
static void front_perm(const brackets *b, int rank, int64_t perm[MD_RANK_MAX])
{
    int n = 0;

    for (int i = 0; i < rank; i++) {
        if (i < b->n && b->at[i] != MD_VALUE_NONE)
            perm[n++] = i;
    }
    for (int i = 0; i < rank; i++) {
        if (i >= b->n || b->at[i] == MD_VALUE_NONE)
            perm[n++] = i;
    }
}

/* One tensor of indices is Gather; several are GatherND of the axes brought
 * to the front, the result's axes of indices then where PyTorch has them. */
void md_torch_emit_index(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t perm[MD_RANK_MAX];
    md_value_id at;
    int n_at, rest;
    brackets b;

    read_brackets(c, &b);
    if (c->e->status != MD_OK)
        return;
    if (b.n > rank) {
        md_emit_fail(c->e, MD_INVALID, "%d indices of rank %d", b.n, rank);
        return;
    }
    if (b.n_given == 1) {
        md_torch_ret(c, at_axis(c, "Gather", x,
                                md_emit_cast(c->e, b.at[b.first], MD_DTYPE_I64),
                                b.first));
        return;
    }
    front_perm(&b, rank, perm);
    at = points(c, &b);
    n_at = md_torch_rank(c, at) - 1;
    x = md_emit_op2(c->e, "GatherND", md_emit_transpose(c->e, x, perm, rank),
                    at);
    rest = rank - b.n_given;
    if (b.adjacent && b.first > 0 && n_at + rest <= MD_RANK_MAX) {
        for (int i = 0; i < n_at + rest; i++)
            perm[i] = i < b.first          ? n_at + i
                      : i < b.first + n_at ? i - b.first
                                           : i;
        x = md_emit_transpose(c->e, x, perm, n_at + rest);
    }
    md_torch_ret(c, x);
}

static const md_tv *only_mask(const md_torch_call *c)
{
    const md_torch_list *l = c->arg[1].v.list;

    return l->n == 1 && l->item[0].kind == MD_TV_TENSOR ? &l->item[0] : NULL;
}

/* x[mask] = one value is a Where. */
static bool put_masked(md_torch_call *c, md_value_id x)
{
    const md_tv *m = only_mask(c);
    md_value_id mask, v;
    int64_t dim[MD_RANK_MAX] = { 0 };
    int rank, k;

    if (!m || md_torch_b(c, 3))
        return false;
    mask = md_tv_id(c->b, m);
    v = md_torch_x(c, 2);
    if (md_torch_dtype_of(c, mask) != MD_DTYPE_BOOL ||
        (md_torch_rank(c, v) != 0 &&
         !(md_torch_rank(c, v) == 1 && md_torch_size(c, v, 0) == 1)))
        return false;
    rank = md_torch_rank(c, x);
    k = md_torch_rank(c, mask);
    for (int i = k; i < rank; i++)
        dim[i] = 1;
    if (k < rank)
        mask = md_emit_reshape(c->e, mask, dim, rank);
    md_torch_ret(
        c, md_emit_op(
               c->e, "Where",
               (md_value_id[]){
                   mask, md_emit_cast(c->e, v, md_torch_dtype_of(c, x)), x },
               3, NULL));
    return true;
}

void md_torch_emit_index_put(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t perm[MD_RANK_MAX], back[MD_RANK_MAX];
    md_value_id at, turned, shape, v;
    brackets b;

    if (put_masked(c, x))
        return;
    read_brackets(c, &b);
    if (c->e->status != MD_OK)
        return;
    if (b.n > rank || (b.first > 0 && md_torch_rank(c, md_torch_x(c, 2)) > 0)) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "values for indices behind a colon");
        return;
    }
    front_perm(&b, rank, perm);
    for (int i = 0; i < rank; i++)
        back[perm[i]] = i;
    at = points(c, &b);
    turned = md_emit_transpose(c->e, x, perm, rank);
    /* One value per point: all axes of the points, then what is left of x. */
    shape = md_emit_op(
        c->e, "Concat",
        (md_value_id[]){
            md_emit_op(c->e, "Shape", &at, 1,
                       EMIT_ATTRS(EMIT_I("start", 0), EMIT_I("end", -1))),
            md_emit_op(c->e, "Shape", &turned, 1,
                       EMIT_ATTRS(EMIT_I("start", b.n_given))) },
        2, EMIT_ATTRS(EMIT_I("axis", 0)));
    v = md_emit_cast(c->e, md_torch_x(c, 2), md_torch_dtype_of(c, x));
    v = md_emit_op2(c->e, "Expand", v, shape);
    x = md_emit_op(
        c->e, "ScatterND", (md_value_id[]){ turned, at, v }, 3,
        EMIT_ATTRS(EMIT_S("reduction", md_torch_b(c, 3) ? "add" : "none")));
    md_torch_ret(c, md_emit_transpose(c->e, x, back, rank));
}

/* --- scattering --- */

static void ret_scattered(md_torch_call *c, md_value_id x, md_value_id at,
                          md_value_id src, int axis, const char *how)
{
    md_torch_ret(
        c,
        md_emit_op(c->e, "ScatterElements", (md_value_id[]){ x, at, src }, 3,
                   EMIT_ATTRS(EMIT_I("axis", axis), EMIT_S("reduction", how))));
}

static md_value_id source(md_torch_call *c, uint32_t i, md_value_id x,
                          md_value_id at, int axis)
{
    md_value_id src = md_torch_operand(c, &c->arg[i], md_torch_dtype_of(c, x));

    if (c->arg[i].kind != MD_TV_TENSOR || md_torch_rank(c, src) == 0)
        return md_emit_op2(c->e, "Expand", src, md_emit_op1(c->e, "Shape", at));
    return shrink_to(c, src, at, axis);
}

void md_torch_emit_scatter(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id at = indices(c, 2);
    int axis = md_torch_axis_at(c, 1, x);

    ret_scattered(c, x, at, source(c, 3, x, at, -1), axis, c->row->onnx);
}

void md_torch_emit_scatter_reduce(md_torch_call *c)
{
    static const char *const ways[][2] = { { "sum", "add" },
                                           { "prod", "mul" },
                                           { "amax", "max" },
                                           { "amin", "min" } };
    md_value_id x = md_torch_x(c, 0);
    md_value_id at = indices(c, 2);

    for (size_t i = 0; i < MD_COUNT(ways) && md_torch_b(c, 5); i++) {
        if (strcmp(md_torch_s(c, 4), ways[i][0]) == 0) {
            ret_scattered(c, x, at, source(c, 3, x, at, -1),
                          md_torch_axis_at(c, 1, x), ways[i][1]);
            return;
        }
    }
    md_emit_fail(c->e, MD_UNSUPPORTED, "'%.20s'%s", md_torch_s(c, 4),
                 md_torch_b(c, 5) ? "" : " without what is there");
}

/* Indices [n] along an axis as those of all elements of `src`. */
static md_value_id spread(md_torch_call *c, md_value_id at, md_value_id src,
                          int axis, int rank)
{
    int64_t dim[MD_RANK_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1 };

    dim[axis] = -1;
    return md_emit_op2(c->e, "Expand", md_emit_reshape(c->e, at, dim, rank),
                       md_emit_op1(c->e, "Shape", src));
}

void md_torch_emit_index_write(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis_at(c, 1, x);
    md_value_id src =
        md_emit_cast(c->e, md_torch_x(c, 3), md_torch_dtype_of(c, x));

    if (c->row->onnx[0] == 'a')
        src = md_emit_op2(c->e, "Mul", src,
                          md_tv_as(c->b, &c->arg[4], md_torch_dtype_of(c, x)));
    ret_scattered(c, x,
                  spread(c, indices(c, 2), src, axis, md_torch_rank(c, x)), src,
                  axis, c->row->onnx);
}

void md_torch_emit_index_fill(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis_at(c, 1, x);
    md_value_id like = at_axis(c, "Gather", x, indices(c, 2), axis);
    md_value_id v = md_emit_op2(
        c->e, "Expand", md_tv_as(c->b, &c->arg[3], md_torch_dtype_of(c, x)),
        md_emit_op1(c->e, "Shape", like));

    ret_scattered(c, x,
                  spread(c, indices(c, 2), like, axis, md_torch_rank(c, x)), v,
                  axis, "none");
}

/* --- embeddings --- */

void md_torch_emit_embedding(md_torch_call *c)
{
    md_torch_ret(c, at_axis(c, "Gather", md_torch_x(c, 0), indices(c, 1), 0));
}

/* 1 where the index counts, else 0, as [n]. */
static md_value_id weights_of(md_torch_call *c, md_value_id at, md_dtype t)
{
    md_tv one = md_tv_int(1);
    int64_t padding = md_torch_given(c, 8) ? md_torch_i(c, 8) : -1;
    md_value_id w = md_emit_op2(c->e, "Expand", md_tv_as(c->b, &one, t),
                                md_emit_op1(c->e, "Shape", at));

    if (padding >= 0)
        w = md_emit_cast(
            c->e,
            md_emit_op1(
                c->e, "Not",
                md_emit_op2(c->e, "Equal", at,
                            md_emit_number(c->e, md_torch_dtype_of(c, at),
                                           (double)padding))),
            t);
    return w;
}

/*
 * Bags are runs of indices [n] that begin at offsets [bags]: element i lies in
 * the last bag that begins at or before it.  member [bags, n] is 1 where bag
 * and element belong together; sums are a product with it.
 */
static md_value_id members(md_torch_call *c, md_value_id at, md_dtype t)
{
    md_emit *e = c->e;
    md_value_id begin = md_emit_cast(e, md_torch_x(c, 2), MD_DTYPE_I64);
    md_value_id place = md_emit_op(e, "Range",
                                   (md_value_id[]){ md_emit_int(e, 0),
                                                    md_emit_op1(e, "Size", at),
                                                    md_emit_int(e, 1) },
                                   3, NULL);
    md_value_id end;

    if (md_torch_b(c, 7))
        begin = md_emit_op(e, "Slice",
                           (md_value_id[]){ begin, MD_TORCH_INTS(c, 0),
                                            MD_TORCH_INTS(c, -1),
                                            MD_TORCH_INTS(c, 0) },
                           4, NULL);
    end = md_emit_op(e, "Slice",
                     (md_value_id[]){ begin, MD_TORCH_INTS(c, 1),
                                      MD_TORCH_INTS(c, INT64_MAX),
                                      MD_TORCH_INTS(c, 0) },
                     4, NULL);
    end = md_emit_op(
        e, "Concat",
        (md_value_id[]){ end, md_emit_reshape(e, md_emit_op1(e, "Size", at),
                                              (int64_t[]){ 1 }, 1) },
        2, EMIT_ATTRS(EMIT_I("axis", 0)));
    return md_emit_cast(e,
                        md_emit_op2(e, "And",
                                    md_emit_op2(e, "GreaterOrEqual", place,
                                                md_emit_unsqueeze(e, begin, 1)),
                                    md_emit_op2(e, "Less", place,
                                                md_emit_unsqueeze(e, end, 1))),
                        t);
}

/* The largest of a bag's rows: rows [1, n, width], others -inf; an empty bag
 * is 0. */
static md_value_id bag_max(md_torch_call *c, md_value_id rows,
                           md_value_id member, md_dtype t)
{
    md_emit *e = c->e;
    md_value_id in =
        md_emit_unsqueeze(e, md_emit_cast(e, member, MD_DTYPE_BOOL), 2);
    md_value_id x = md_emit_op(
        e, "Where",
        (md_value_id[]){ in, md_emit_unsqueeze(e, rows, 0),
                         md_emit_number(e, t, -3.4028234663852886e38) },
        3, NULL);
    md_value_id any =
        md_emit_op(e, "ReduceMax",
                   (md_value_id[]){ member, MD_TORCH_INTS(c, 1) }, 2, NULL);

    x = md_emit_op(e, "ReduceMax", (md_value_id[]){ x, MD_TORCH_INTS(c, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    return md_emit_op(e, "Where",
                      (md_value_id[]){ md_emit_cast(e, any, MD_DTYPE_BOOL), x,
                                       md_emit_number(e, t, 0) },
                      3, NULL);
}

void md_torch_emit_embedding_bag(md_torch_call *c)
{
    enum {
        SUM,
        MEAN,
        MAX
    };
    md_emit *e = c->e;
    md_value_id table = md_torch_x(c, 0);
    md_value_id at = indices(c, 1);
    md_dtype t = md_torch_dtype_of(c, table);
    int64_t mode = md_torch_i(c, 4);
    md_value_id rows, member, counted, out;

    rows = at_axis(c, "Gather", table, at, 0);
    counted = weights_of(c, at, t);
    member = md_emit_op2(e, "Mul", members(c, at, t), counted);
    if (mode == MAX) {
        out = bag_max(c, rows, member, t);
    } else {
        md_value_id by = member;

        if (md_torch_given(c, 6))
            by = md_emit_op2(e, "Mul", by, md_torch_x(c, 6));
        out = md_emit_op2(e, "MatMul", by, rows);
    }
    if (mode == MEAN) {
        md_value_id n =
            md_emit_op(e, "ReduceSum",
                       (md_value_id[]){ member, MD_TORCH_INTS(c, 1) }, 2, NULL);

        out = md_emit_op2(e, "Div", out,
                          md_emit_op2(e, "Max", n, md_emit_number(e, t, 1)));
    }
    /* Others of the results are for training. */
    md_torch_ret_n(c, (md_value_id[]){ out, at, at, at }, 4);
}

/* --- what the data tells --- */

void md_torch_emit_nonzero(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    md_value_id found = md_emit_op1(c->e, "NonZero", x);
    md_tv out;

    if (!c->row->onnx[0]) {
        md_torch_ret(c, md_emit_transpose(c->e, found, (int64_t[]){ 1, 0 }, 2));
        return;
    }
    out = md_tv_list(c->b, MD_TV_LIST, (uint32_t)rank);
    for (int i = 0; i < rank && out.kind == MD_TV_LIST; i++)
        md_tv_append(c->b, out.v.list,
                     md_tv_tensor(c->b, at_axis(c, "Gather", found,
                                                md_emit_int(c->e, i), 0)));
    c->out = out;
}

static md_value_id same_shape(md_torch_call *c, md_value_id x, md_value_id y)
{
    return md_emit_op2(c->e, "Expand", x, md_emit_op1(c->e, "Shape", y));
}

void md_torch_emit_masked_select(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0), mask = md_torch_x(c, 1);

    md_torch_ret(c, md_emit_op2(c->e, "Compress",
                                md_emit_reshape(c->e, same_shape(c, x, mask),
                                                (int64_t[]){ -1 }, 1),
                                md_emit_reshape(c->e, same_shape(c, mask, x),
                                                (int64_t[]){ -1 }, 1)));
}

/* The k-th place of the mask gets the k-th element of the source. */
void md_torch_emit_masked_scatter(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    md_value_id mask = same_shape(c, md_torch_x(c, 1), x);
    md_value_id flat = md_emit_reshape(e, md_emit_cast(e, mask, MD_DTYPE_I64),
                                       (int64_t[]){ -1 }, 1);
    md_value_id nth =
        md_emit_op2(e, "Sub", md_emit_op2(e, "CumSum", flat, md_emit_int(e, 0)),
                    md_emit_int(e, 1));
    md_value_id src =
        md_emit_reshape(e, md_torch_x(c, 2), (int64_t[]){ -1 }, 1);

    nth = md_emit_op2(e, "Max", nth, md_emit_int(e, 0));
    src = md_emit_op2(e, "Reshape", at_axis(c, "Gather", src, nth, 0),
                      md_emit_op1(e, "Shape", x));
    md_torch_ret(
        c, md_emit_op(e, "Where", (md_value_id[]){ mask, src, x }, 3, NULL));
}

/* How many boundaries lie before the element. */
void md_torch_emit_bucketize(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_emit_unsqueeze(e, md_torch_x(c, 0), -1);
    md_value_id below =
        md_emit_op2(e, md_torch_b(c, 3) ? "GreaterOrEqual" : "Greater", x,
                    md_torch_x(c, 1));

    md_torch_ret(
        c, md_emit_op(e, "ReduceSum",
                      (md_value_id[]){ md_emit_cast(e, below, MD_DTYPE_I64),
                                       MD_TORCH_INTS(c, -1) },
                      2, EMIT_ATTRS(EMIT_I("keepdims", 0))));
}
