/*
 * The rules that tie the places of operators' inputs and outputs.
 */
#include <string.h>

#include "base/attr.h"
#include "optimize/axes.h"

typedef struct rule {
    md_axes *a;
    const md_node *n;
} rule;

/* ---- axes ---- */

static const md_type *type_of(const rule *r, md_value_id id)
{
    return &r->a->fact[id].type;
}

/* -1: not known. */
static int rank_of(const rule *r, md_value_id id)
{
    const md_type *t = id == MD_VALUE_NONE ? NULL : type_of(r, id);

    return t && t->kind == MD_KIND_TENSOR && t->has_rank ? t->rank : -1;
}

/* Size of an axis, -1 when it is open or not there. */
static int64_t size_of(const rule *r, md_value_id id, int d)
{
    if (d < 0 || d >= rank_of(r, id) ||
        md_axes_first(r->a, id, d) == MD_AXES_NONE)
        return -1;
    return type_of(r, id)->dim[d].k;
}

static void fix_axis(const rule *r, md_value_id id, int d)
{
    for (int64_t i = 0; i < size_of(r, id, d); i++)
        md_axes__fix(r->a, md_axes_first(r->a, id, d) + (uint32_t)i);
}

static void fix_value(const rule *r, md_value_id id)
{
    for (int d = 0; d < rank_of(r, id); d++)
        fix_axis(r, id, d);
}

static void fix_node(const rule *r)
{
    for (uint32_t i = 0; i < r->n->n_in; i++)
        fix_value(r, r->n->in[i]);
    for (uint32_t i = 0; i < r->n->n_out; i++)
        fix_value(r, r->n->out[i]);
}

/* Place i of one axis to place k of another. */
static void tie_at(const rule *r, md_value_id v, int d, int64_t i,
                   md_value_id w, int e, int64_t k)
{
    md_axes__tie(r->a, md_axes_first(r->a, v, d) + (uint32_t)i,
                 md_axes_first(r->a, w, e) + (uint32_t)k);
}

/* Two axes that are one: of equal size, or both stay. */
static void tie_axes(const rule *r, md_value_id v, int d, md_value_id w, int e)
{
    const int64_t n = size_of(r, v, d);

    if (n != size_of(r, w, e)) {
        fix_axis(r, v, d);
        fix_axis(r, w, e);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        tie_at(r, v, d, i, w, e, i);
}

/* `count` places from `from` on of (v, d) are those from `to` on of (w, e). */
static void tie_range(const rule *r, md_value_id v, int d, int64_t from,
                      md_value_id w, int e, int64_t to, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        tie_at(r, v, d, from + i, w, e, to + i);
}

static int axis_of(const rule *r, int64_t otherwise, int rank)
{
    int64_t axis = md_node_attr_i(r->n, "axis", otherwise);

    return (int)(axis < 0 ? axis + rank : axis);
}

static bool has_in(const rule *r, uint32_t i)
{
    return i < r->n->n_in && r->n->in[i] != MD_VALUE_NONE;
}

/* ---- elementwise ---- */

/* All inputs broadcast against each other, or in[0] alone. */
static void elementwise(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id y = n->out[0];
    const int rank = rank_of(r, y);

    for (uint32_t i = 0; i < n->n_in; i++) {
        const int rank_in = rank_of(r, n->in[i]);

        if (n->in[i] != MD_VALUE_NONE && (rank < 0 || rank_in < 0)) {
            fix_node(r);
            return;
        }
        for (int d = 0; d < rank_in; d++) {
            const int e = d + rank - rank_in;

            if (size_of(r, n->in[i], d) == 1 && size_of(r, y, e) != 1)
                fix_axis(r, n->in[i], d);
            else
                tie_axes(r, n->in[i], d, y, e);
        }
    }
    for (uint32_t i = 1; i < n->n_out; i++) /* the mask of Dropout */
        fix_value(r, n->out[i]);
}

/* The first input alone: bounds and the like are no part of it. */
static void unary(const rule *r)
{
    const md_node *n = r->n;

    for (uint32_t k = 0; k < n->n_out; k++) {
        if (n->out[k] == MD_VALUE_NONE)
            continue;
        if (rank_of(r, n->in[0]) != rank_of(r, n->out[k])) {
            fix_node(r);
            return;
        }
        for (int d = 0; d < rank_of(r, n->in[0]); d++)
            tie_axes(r, n->in[0], d, n->out[k], d);
    }
    for (uint32_t i = 1; i < n->n_in; i++)
        fix_value(r, n->in[i]);
}

/* ---- products ---- */

/* The channels of a convolution with groups.  One channel for each group goes
 * with its whole group; else the same places of all groups go together. */
static void grouped(const rule *r, const md_axes_product *p)
{
    const md_value_id x = r->n->in[0], w = r->n->in[1], y = r->n->out[0];
    const int64_t g = p->groups, in = size_of(r, x, 1), out = size_of(r, y, 1);
    const int64_t ci = in / g, co = out / g;
    const bool is_conv = p->w_out == 0;

    for (int64_t i = 0; i < in; i++) {
        const int64_t k = i / ci, j = i % ci;

        if (ci == 1)
            tie_range(r, x, 1, i, y, 1, i * co, co > 0 ? 1 : 0);
        else
            tie_at(r, x, 1, i, x, 1, j);
        if (is_conv && ci > 1)
            tie_at(r, x, 1, i, w, 1, j);
        if (!is_conv)
            tie_at(r, x, 1, k * ci + j, w, 0, k * ci + j);
    }
    for (int64_t i = 0; i < out; i++) {
        if (ci == 1)
            tie_at(r, y, 1, i, y, 1, i / co * co);
        else
            tie_at(r, y, 1, i, y, 1, i % co);
        if (is_conv)
            tie_at(r, y, 1, i, w, 0, i);
        else if (ci > 1)
            tie_at(r, y, 1, i, w, 1, i % co);
    }
    if (ci == 1)
        fix_axis(r, w, 1);
}

static bool groups_fit(const rule *r, const md_axes_product *p)
{
    const md_value_id x = r->n->in[0], w = r->n->in[1], y = r->n->out[0];
    const int64_t g = p->groups, in = size_of(r, x, 1), out = size_of(r, y, 1);
    const bool is_conv = p->w_out == 0;

    return in > 0 && out > 0 && in % g == 0 && out % g == 0 &&
           size_of(r, w, 0) == (is_conv ? out : in) &&
           size_of(r, w, 1) == (is_conv ? in : out) / g;
}

static void product_bias(const rule *r, const md_axes_product *p)
{
    const md_value_id b = r->n->in[2];
    const int rank = rank_of(r, b);

    for (int d = 0; d < rank; d++) {
        if (d == rank - 1 && size_of(r, b, d) > 1)
            tie_axes(r, b, d, r->n->out[0], p->out);
        else if (size_of(r, b, d) > 1) /* a row for each sample */
            fix_axis(r, r->n->out[0], p->out - (rank - 1 - d));
        if (d < rank - 1)
            fix_axis(r, b, d);
    }
}

/* Both are computed: the axis that is summed over stays. */
static void batched(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id y = n->out[0];
    const int rank = rank_of(r, y);

    for (uint32_t i = 0; i < 2; i++) {
        const int rank_in = rank_of(r, n->in[i]);

        if (rank_in < 2 || rank < 2) {
            fix_node(r);
            return;
        }
        fix_axis(r, n->in[i], rank_in - (i == 0 ? 1 : 2));
    }
    for (uint32_t i = 0; i < 2; i++) {
        const int rank_in = rank_of(r, n->in[i]);

        for (int d = 0; d < rank_in; d++) {
            const int e = d + rank - rank_in;

            if (d == rank_in - (i == 0 ? 1 : 2))
                continue;
            if (size_of(r, n->in[i], d) == 1 && size_of(r, y, e) != 1)
                fix_axis(r, n->in[i], d);
            else
                tie_axes(r, n->in[i], d, y, e);
        }
    }
}

static void product(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0], w = n->in[1], y = n->out[0];
    md_axes_product p;

    if (!md_axes_is_product(&p, r->a, n)) {
        if (md_axes_is(n, "MatMul"))
            batched(r);
        else
            fix_node(r);
        return;
    }
    if (rank_of(r, y) < 0 || (p.groups > 1 && !groups_fit(r, &p))) {
        fix_node(r);
        return;
    }
    if (p.groups > 1) {
        grouped(r, &p);
    } else {
        tie_axes(r, x, p.axis, w, p.w_axis);
        tie_axes(r, y, p.out, w, p.w_out);
    }
    for (int d = 0; d < rank_of(r, x); d++) {
        if (d == p.axis)
            continue;
        if (md_axes_is(n, "MatMul") || md_axes_is(n, "Gemm")) {
            tie_axes(r, x, d, y, d);
            continue;
        }
        fix_axis(r, x, d);
        fix_axis(r, y, d);
    }
    for (int d = 2; d < rank_of(r, w); d++)
        fix_axis(r, w, d);
    if (has_in(r, 2))
        product_bias(r, &p);
}

/* Of recurrent layers only what they read may shrink. */
static void recurrent(const rule *r)
{
    const md_node *n = r->n;

    for (uint32_t i = 1; i < n->n_in; i++) {
        for (int d = 0; d < rank_of(r, n->in[i]); d++) {
            if (i != 1 || d != 2)
                fix_axis(r, n->in[i], d);
        }
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        fix_value(r, n->out[i]);
    fix_axis(r, n->in[0], 0);
    fix_axis(r, n->in[0], 1);
    if (r->a->g->values[n->in[1]].cdata)
        tie_axes(r, n->in[0], 2, n->in[1], 2);
    else
        fix_node(r);
}

/* ---- along channels ---- */

/* Each channel by itself, with a number of each further input for it. */
static void by_channel(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0], y = n->out[0];

    if (rank_of(r, x) < 2 || rank_of(r, x) != rank_of(r, y)) {
        fix_node(r);
        return;
    }
    for (int d = 0; d < rank_of(r, x); d++) {
        if (d < 2) {
            tie_axes(r, x, d, y, d);
        } else if (md_axes_is(n, "BatchNormalization")) {
            tie_axes(r, x, d, y, d);
        } else {
            fix_axis(r, x, d);
            fix_axis(r, y, d);
        }
    }
    for (uint32_t i = 1; i < n->n_in; i++) {
        if (rank_of(r, n->in[i]) == 1)
            tie_axes(r, n->in[i], 0, x, 1);
        else
            fix_value(r, n->in[i]);
    }
    for (uint32_t k = 1; k < n->n_out; k++)
        fix_value(r, n->out[k]);
}

/* Pools: axes of space stay. */
static void pool(const rule *r)
{
    const md_value_id x = r->n->in[0];

    for (uint32_t k = 0; k < r->n->n_out; k++) {
        const md_value_id y = r->n->out[k];

        if (y == MD_VALUE_NONE)
            continue;
        for (int d = 0; d < rank_of(r, x); d++) {
            if (d < 2)
                tie_axes(r, x, d, y, d);
            else
                fix_axis(r, x, d);
        }
        for (int d = 2; d < rank_of(r, y); d++)
            fix_axis(r, y, d);
    }
}

/* The channels of a group are normalized together, so they go together. */
static void group_norm(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0];
    const int64_t groups = md_node_attr_i(n, "num_groups", 0);
    const int64_t c = size_of(r, x, 1);

    if (groups < 1 || c < 1 || c % groups != 0 ||
        size_of(r, n->in[1], 0) != c) { /* opset 18: one for each group */
        fix_node(r);
        return;
    }
    by_channel(r);
    for (int64_t i = 0; i < c; i++)
        tie_at(r, x, 1, i, x, 1, i / (c / groups) * (c / groups));
}

/* Axes from `axis` on are normalized over (Softmax: that one, since 13). */
static void over_axis(const rule *r)
{
    const md_node *n = r->n;
    const bool one = strstr(n->op, "Softmax") != NULL &&
                     md_node_opset(r->a->g->model, n) >= 13;
    const bool old = strstr(n->op, "Softmax") != NULL && !one;
    const int rank = rank_of(r, n->in[0]);
    const int axis = axis_of(r, old ? 1 : -1, rank);

    for (uint32_t i = 1; i < n->n_in; i++)
        fix_value(r, n->in[i]);
    for (uint32_t k = 1; k < n->n_out; k++)
        fix_value(r, n->out[k]);
    for (int d = 0; d < rank; d++) {
        if (d == axis || (!one && d > axis))
            fix_axis(r, n->in[0], d);
        tie_axes(r, n->in[0], d, n->out[0], d);
    }
}

/* ---- movements ---- */

/* Axes [i, i_end) of x become axes [j, j_end) of y: what the outermost of one
 * side holds in a place is so many places of the other's. */
static void tie_block(const rule *r, int i, int i_end, int j, int j_end)
{
    const md_value_id x = r->n->in[0], y = r->n->out[0];
    int64_t nx, ny;

    while (i < i_end && size_of(r, x, i) == 1)
        fix_axis(r, x, i++);
    while (j < j_end && size_of(r, y, j) == 1)
        fix_axis(r, y, j++);
    nx = size_of(r, x, i);
    ny = size_of(r, y, j);
    if (i < i_end && j < j_end && nx > 0 && ny > 0 &&
        (nx % ny == 0 || ny % nx == 0)) {
        const int64_t n = nx > ny ? nx : ny;

        for (int64_t k = 0; k < n; k++)
            tie_at(r, x, i, k / (n / nx), y, j, k / (n / ny));
        i++;
        j++;
    }
    for (; i < i_end; i++)
        fix_axis(r, x, i);
    for (; j < j_end; j++)
        fix_axis(r, y, j);
}

/* Axes at either end that are the same in x and y: *front and *back of them. */
static void tie_ends(const rule *r, int *front, int *back)
{
    const md_value_id x = r->n->in[0], y = r->n->out[0];
    const md_dim *dx = type_of(r, x)->dim, *dy = type_of(r, y)->dim;
    const int rx = rank_of(r, x), ry = rank_of(r, y);
    const int least = rx < ry ? rx : ry;

    for (*front = 0; *front < least && md_dim_equal(dx[*front], dy[*front]);
         ++*front)
        tie_axes(r, x, *front, y, *front);
    for (*back = 0; *back < least - *front &&
                    md_dim_equal(dx[rx - 1 - *back], dy[ry - 1 - *back]);
         ++*back)
        tie_axes(r, x, rx - 1 - *back, y, ry - 1 - *back);
}

/* Ends of the shortest runs of axes, from i and j on and below i_max and j_max,
 * that hold equally many places; false when there are none. */
static bool find_block(const rule *r, int i, int i_max, int *i_end, int j,
                       int j_max, int *j_end)
{
    const md_value_id x = r->n->in[0], y = r->n->out[0];
    int64_t px = size_of(r, x, i), py = size_of(r, y, j);

    *i_end = i + 1;
    *j_end = j + 1;
    while (px > 0 && py > 0 && px != py) {
        if (px < py && *i_end < i_max)
            px *= size_of(r, x, (*i_end)++);
        else if (px > py && *j_end < j_max)
            py *= size_of(r, y, (*j_end)++);
        else
            return false;
    }
    return px > 0 && px == py;
}

/* Elements stay in their order: axes are cut where both sides agree. */
static void reshaped(const rule *r)
{
    const md_value_id x = r->n->in[0], y = r->n->out[0];
    const int rx = rank_of(r, x), ry = rank_of(r, y);
    int front, back, i, j, i_end, j_end;

    if (rx < 0 || ry < 0) {
        fix_node(r);
        return;
    }
    tie_ends(r, &front, &back);
    i = j = front;
    while (i < rx - back && j < ry - back &&
           find_block(r, i, rx - back, &i_end, j, ry - back, &j_end)) {
        tie_block(r, i, i_end, j, j_end);
        i = i_end;
        j = j_end;
    }
    for (; i < rx - back; i++)
        fix_axis(r, x, i);
    for (; j < ry - back; j++)
        fix_axis(r, y, j);
}

static void reshape(const rule *r)
{
    int64_t shape[MD_RANK_MAX];

    if (md_axes_reshape(shape, r->a, r->n))
        reshaped(r);
    else
        fix_node(r);
}

static void transpose(const rule *r)
{
    const md_node *n = r->n;
    const int rank = rank_of(r, n->in[0]);
    uint32_t count;
    const int64_t *perm = md_node_attr_is(n, "perm", &count);

    if (rank < 0 || (perm && (int)count != rank)) {
        fix_node(r);
        return;
    }
    for (int d = 0; d < rank; d++)
        tie_axes(r, n->in[0], perm ? (int)perm[d] : rank - 1 - d, n->out[0], d);
}

static void concat(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id y = n->out[0];
    const int rank = rank_of(r, y), axis = axis_of(r, 1, rank);
    int64_t at = 0;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (rank < 0 || rank_of(r, n->in[i]) != rank ||
            size_of(r, n->in[i], axis) < 0) {
            fix_node(r);
            return;
        }
    }
    for (uint32_t i = 0; i < n->n_in; i++) {
        const int64_t k = size_of(r, n->in[i], axis);

        for (int d = 0; d < rank; d++) {
            if (d != axis)
                tie_axes(r, n->in[i], d, y, d);
        }
        tie_range(r, n->in[i], axis, 0, y, axis, at, k);
        at += k;
    }
}

static void split(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0];
    const int rank = rank_of(r, x), axis = axis_of(r, 0, rank);
    int64_t at = 0;

    for (uint32_t k = 0; k < n->n_out; k++) {
        if (rank < 0 || rank_of(r, n->out[k]) != rank ||
            size_of(r, n->out[k], axis) < 1 || size_of(r, x, axis) < 1 ||
            (has_in(r, 1) && !r->a->fact[n->in[1]].known)) {
            fix_node(r);
            return;
        }
    }
    for (uint32_t k = 0; k < n->n_out; k++) {
        const int64_t count = size_of(r, n->out[k], axis);

        for (int d = 0; d < rank; d++) {
            if (d != axis)
                tie_axes(r, x, d, n->out[k], d);
        }
        tie_range(r, x, axis, at, n->out[k], axis, 0, count);
        at += count;
    }
}

/* A constant of these axes and steps of 1; else what changes stays. */
static void slice(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0], y = n->out[0];
    const int rank = rank_of(r, x);
    int64_t start[MD_RANK_MAX], axes[MD_RANK_MAX], step[MD_RANK_MAX];
    const int n_start = md_axes_ints(start, MD_RANK_MAX, r->a, n, 1);
    const int n_axes = md_axes_ints(axes, MD_RANK_MAX, r->a, n, 3);
    const int n_step = md_axes_ints(step, MD_RANK_MAX, r->a, n, 4);

    if (rank < 0 || n_start < 0 || n_axes != n_start ||
        (n_step >= 0 ? n_step != n_start : has_in(r, 4))) {
        fix_node(r);
        return;
    }
    for (int d = 0; d < rank; d++) {
        int k = 0;

        while (k < n_axes && axes[k] != d && axes[k] + rank != d)
            k++;
        if (k == n_axes) {
            tie_axes(r, x, d, y, d);
            continue;
        }
        if (size_of(r, x, d) > 0 && size_of(r, y, d) > 0 &&
            (n_step < 0 || step[k] == 1)) {
            int64_t from =
                start[k] < 0 ? start[k] + size_of(r, x, d) : start[k];

            tie_range(r, x, d, from < 0 ? 0 : from, y, d, 0, size_of(r, y, d));
        } else {
            fix_axis(r, x, d);
            fix_axis(r, y, d);
        }
    }
}

/* The axis that is looked up stays; the others go around the indices'. */
static void gather(const rule *r)
{
    const md_node *n = r->n;
    const int rank = rank_of(r, n->in[0]), axis = axis_of(r, 0, rank);
    const int more = rank_of(r, n->in[1]);

    if (rank < 0 || more < 0 || rank_of(r, n->out[0]) != rank + more - 1) {
        fix_node(r);
        return;
    }
    fix_axis(r, n->in[0], axis);
    for (int d = 0; d < rank; d++) {
        if (d != axis)
            tie_axes(r, n->in[0], d, n->out[0], d < axis ? d : d + more - 1);
    }
    for (int d = 0; d < more; d++)
        tie_axes(r, n->in[1], d, n->out[0], axis + d);
}

/* Axes where nothing is added. */
static void pad(const rule *r)
{
    const md_node *n = r->n;
    const int rank = rank_of(r, n->in[0]);
    int64_t pads[2 * MD_RANK_MAX];

    if (rank < 0 || has_in(r, 3) ||
        md_axes_ints(pads, 2 * MD_RANK_MAX, r->a, n, 1) != 2 * rank) {
        fix_node(r);
        return;
    }
    for (int d = 0; d < rank; d++) {
        if (pads[d] || pads[d + rank])
            fix_axis(r, n->in[0], d);
        if (pads[d] || pads[d + rank])
            fix_axis(r, n->out[0], d);
        else
            tie_axes(r, n->in[0], d, n->out[0], d);
    }
}

/* By scales: axes that keep their size have none but 1. */
static void resize(const rule *r)
{
    const md_node *n = r->n;
    const md_value_id x = n->in[0], y = n->out[0];
    const uint32_t at = n->n_in > 2 ? 2 : 1; /* opset 10: x, scales */
    const md_tensor *scales =
        has_in(r, at) ? r->a->fact[n->in[at]].known : NULL;

    if (!scales || md_tensor_n(scales) != rank_of(r, x) || has_in(r, 3) ||
        md_node_attr(n, "axes")) {
        fix_node(r);
        return;
    }
    for (int d = 0; d < rank_of(r, x); d++) {
        if (d < 2 && md_tensor_get_f64(scales, d) == 1.0) {
            tie_axes(r, x, d, y, d);
            continue;
        }
        fix_axis(r, x, d);
        fix_axis(r, y, d);
    }
}

/* The reduced axes stay. */
static void reduce(const rule *r)
{
    const md_node *n = r->n;
    const int rank = rank_of(r, n->in[0]);
    const bool keep = md_node_attr_i(n, "keepdims", 1) != 0;
    int64_t axes[MD_RANK_MAX];
    bool gone[MD_RANK_MAX] = { false };
    uint32_t count = 0;
    const int64_t *attr = md_node_attr_is(n, "axes", &count);
    int n_axes = (int)count, e = 0;

    if (!attr) {
        n_axes = md_axes_ints(axes, MD_RANK_MAX, r->a, n, 1);
        attr = axes;
    }
    if (rank < 0 || n_axes < 1 || n_axes > MD_RANK_MAX) {
        fix_node(r);
        return;
    }
    for (int k = 0; k < n_axes; k++)
        gone[(attr[k] < 0 ? attr[k] + rank : attr[k]) % MD_RANK_MAX] = true;
    for (int d = 0; d < rank; d++) {
        if (gone[d]) {
            fix_axis(r, n->in[0], d);
            e += keep;
            continue;
        }
        tie_axes(r, n->in[0], d, n->out[0], e++);
    }
}

/* The sizes that others look at stay: all, but where they are picked out. */
static void shape(const rule *r)
{
    const md_graph *g = r->a->g;
    const md_value_id x = r->n->in[0], y = r->n->out[0];
    const int rank = rank_of(r, x);

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];
        int64_t at[MD_RANK_MAX];
        int count;

        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] != y)
                continue;
            count = md_axes_is(n, "Gather") && k == 0
                        ? md_axes_ints(at, MD_RANK_MAX, r->a, n, 1)
                        : -1;
            for (int j = 0; j < count; j++)
                fix_axis(r, x, (int)(at[j] < 0 ? at[j] + rank : at[j]));
            if (count < 0)
                fix_value(r, x);
        }
    }
    if (g->values[y].is_output || md_node_attr(r->n, "start") ||
        md_node_attr(r->n, "end"))
        fix_value(r, x);
}

/* ---- the table ---- */

static const struct {
    const char *op;
    void (*apply)(const rule *r);
} rules[] = {
    { "Abs", unary },
    { "Add", elementwise },
    { "AveragePool", pool },
    { "BatchNormalization", by_channel },
    { "Cast", unary },
    { "Ceil", unary },
    { "Celu", unary },
    { "Clip", unary },
    { "Concat", concat },
    { "Conv", product },
    { "ConvTranspose", product },
    { "Cos", unary },
    { "Div", elementwise },
    { "Dropout", unary },
    { "Elu", unary },
    { "Erf", unary },
    { "Exp", unary },
    { "Flatten", reshaped },
    { "Floor", unary },
    { "GRU", recurrent },
    { "Gather", gather },
    { "Gelu", unary },
    { "Gemm", product },
    { "GlobalAveragePool", pool },
    { "GlobalLpPool", pool },
    { "GlobalMaxPool", pool },
    { "GroupNormalization", group_norm },
    { "HardSigmoid", unary },
    { "HardSwish", unary },
    { "Identity", unary },
    { "InstanceNormalization", by_channel },
    { "LSTM", recurrent },
    { "LayerNormalization", over_axis },
    { "LeakyRelu", unary },
    { "Log", unary },
    { "LogSoftmax", over_axis },
    { "LpPool", pool },
    { "MatMul", product },
    { "Max", elementwise },
    { "MaxPool", pool },
    { "Mean", elementwise },
    { "Min", elementwise },
    { "Mish", unary },
    { "Mul", elementwise },
    { "Neg", unary },
    { "PRelu", elementwise },
    { "Pad", pad },
    { "Pow", elementwise },
    { "RMSNormalization", over_axis },
    { "RNN", recurrent },
    { "Reciprocal", unary },
    { "ReduceMax", reduce },
    { "ReduceMean", reduce },
    { "ReduceMin", reduce },
    { "ReduceSum", reduce },
    { "Relu", unary },
    { "Reshape", reshape },
    { "Resize", resize },
    { "Round", unary },
    { "Selu", unary },
    { "Shape", shape },
    { "Sigmoid", unary },
    { "Sign", unary },
    { "Sin", unary },
    { "Slice", slice },
    { "Softmax", over_axis },
    { "Softplus", unary },
    { "Softsign", unary },
    { "Split", split },
    { "Sqrt", unary },
    { "Squeeze", reshaped },
    { "Sub", elementwise },
    { "Sum", elementwise },
    { "Swish", unary },
    { "Tanh", unary },
    { "ThresholdedRelu", unary },
    { "Transpose", transpose },
    { "Unsqueeze", reshaped },
    { "Upsample", resize },
    { "Where", elementwise },
};

void md_axes__apply(md_axes *a, const md_node *n)
{
    const rule r = { a, n };

    for (size_t i = 0; i < MD_COUNT(rules); i++) {
        if (md_axes_is(n, rules[i].op)) {
            rules[i].apply(&r);
            return;
        }
    }
    fix_node(&r);
}
