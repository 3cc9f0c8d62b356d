#include "ops/grad.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"
#include "ops/common/util.h"

/* --- what a rule sees --------------------------------------------------- */

static const md_type unknown;

md_part md_grad_in(const md_grad *g, uint32_t i)
{
    return md_compose_in(&g->m, i);
}

md_part md_grad_out(const md_grad *g, uint32_t i)
{
    return i < g->m.node->n_out ? g->y[i] : MD_PART_NONE;
}

md_part md_grad_of(const md_grad *g, uint32_t i)
{
    return i < g->m.node->n_out ? g->dy[i] : MD_PART_NONE;
}

bool md_grad_wants(const md_grad *g, uint32_t i)
{
    return i < g->m.node->n_in && g->wants[i];
}

void md_grad_give(md_grad *g, uint32_t i, md_part p)
{
    if (g->status == MD_OK && md_grad_wants(g, i) && p != MD_PART_NONE)
        g->dx[i] = md_grad_like(g, p, md_grad_in(g, i));
}

void md_grad_give_sum(md_grad *g, uint32_t i, md_part p)
{
    if (md_grad_wants(g, i))
        md_grad_give(g, i, md_grad_sum_to(g, p, md_grad_in(g, i)));
}

void md_grad_result(md_grad *g, uint32_t i, md_part p)
{
    if (g->status == MD_OK && md_compose_wants(&g->m, i))
        md_compose_give(&g->m, i, p);
}

void md_grad_refuse(md_grad *g, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (g->status != MD_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    g->status = md_fail(&g->why, MD_UNSUPPORTED, "%s", text);
}

const md_type *md_grad_type(const md_grad *g, md_part p)
{
    return p == MD_PART_NONE ? &unknown : &g->m.part[p].type;
}

int md_grad_rank(md_grad *g, md_part p)
{
    const md_type *t = md_grad_type(g, p);

    if (!t->has_rank)
        md_grad_refuse(g, "a rank is not known");
    return t->has_rank ? t->rank : 0;
}

md_part md_grad_like(md_grad *g, md_part p, md_part like)
{
    const md_type *t = md_grad_type(g, like);

    if (p != MD_PART_NONE && t->has_rank) {
        md_dtype dtype = g->m.part[p].type.dtype;

        g->m.part[p].type = *t;
        g->m.part[p].type.dtype = dtype;
    }
    return p;
}

/* --- steps --------------------------------------------------------------- */

md_part md_grad_step(md_grad *g, const md_compose_step *s)
{
    md_part out[MD_COMPOSE_OUTPUTS];

    if (g->status == MD_OK)
        g->status = md_compose_emit(&g->m, s, out, &g->why);
    return g->status == MD_OK ? out[0] : MD_PART_NONE;
}

md_part md_grad_1(md_grad *g, const char *op, md_part x)
{
    return MD_GRAD_STEP(g, .op = op, .in = { x }, .n_in = 1);
}

md_part md_grad_2(md_grad *g, const char *op, md_part a, md_part b)
{
    return MD_GRAD_STEP(g, .op = op, .in = { a, b }, .n_in = 2);
}

md_part md_grad_add(md_grad *g, md_part a, md_part b)
{
    return md_grad_2(g, "Add", a, b);
}

md_part md_grad_sub(md_grad *g, md_part a, md_part b)
{
    return md_grad_2(g, "Sub", a, b);
}

md_part md_grad_mul(md_grad *g, md_part a, md_part b)
{
    return md_grad_2(g, "Mul", a, b);
}

md_part md_grad_div(md_grad *g, md_part a, md_part b)
{
    return md_grad_2(g, "Div", a, b);
}

md_part md_grad_where(md_grad *g, md_part cond, md_part a, md_part b)
{
    return MD_GRAD_STEP(g, .op = "Where", .in = { cond, a, b }, .n_in = 3);
}

md_part md_grad_num(md_grad *g, md_part like, double v)
{
    md_part p = MD_PART_NONE;

    if (g->status == MD_OK)
        g->status = md_compose_scalar(&g->m, md_grad_type(g, like)->dtype, v,
                                      &p, &g->why);
    return g->status == MD_OK ? p : MD_PART_NONE;
}

md_part md_grad_scale(md_grad *g, md_part x, double v)
{
    return v == 1.0 ? x : md_grad_mul(g, x, md_grad_num(g, x, v));
}

md_part md_grad_ints(md_grad *g, const int64_t *v, int n)
{
    md_part p = MD_PART_NONE;

    if (n < 0)
        md_grad_refuse(g, "a rank is too small");
    if (g->status == MD_OK)
        g->status = md_compose_ints(&g->m, v, n, &p, &g->why);
    return g->status == MD_OK ? p : MD_PART_NONE;
}

md_part md_grad_shape(md_grad *g, md_part p)
{
    const md_type *t = md_grad_type(g, p);
    int64_t dims[MD_RANK_MAX];
    md_shape shape;

    if (!md_type_static(t, &shape))
        return md_grad_1(g, "Shape", p);
    for (int d = 0; d < shape.rank; d++)
        dims[d] = shape.dim[d];
    return md_grad_ints(g, dims, shape.rank);
}

md_part md_grad_dims(md_grad *g, md_part p, int from, int to)
{
    const md_type *t = md_grad_type(g, p);
    int64_t dims[MD_RANK_MAX];
    bool known = t->has_rank && to <= t->rank;

    for (int d = from; d < to && known; d++) {
        known = md_dim_is_const(t->dim[d]);
        dims[d - from] = t->dim[d].k;
    }
    if (known)
        return md_grad_ints(g, dims, to - from);
    return MD_GRAD_STEP(
        g, .op = "Shape", .in = { p }, .n_in = 1,
        .attr = { MD_GIVE_I("start", from), MD_GIVE_I("end", to) },
        .n_attr = 2);
}

md_part md_grad_cast(md_grad *g, md_part p, md_dtype dtype)
{
    if (md_grad_type(g, p)->dtype == dtype)
        return p;
    return MD_GRAD_STEP(g, .op = "Cast", .in = { p }, .n_in = 1,
                        .attr = { MD_GIVE_I("to", dtype) }, .n_attr = 1);
}

md_part md_grad_ratio(md_grad *g, md_part x, md_part y)
{
    const md_type *t = md_grad_type(g, x);
    md_shape a, b;

    if (md_type_static(t, &a) && md_type_static(md_grad_type(g, y), &b))
        return md_grad_num(g, x,
                           md_shape_n(&b)
                               ? (double)md_shape_n(&a) / (double)md_shape_n(&b)
                               : 1.0);
    return md_grad_div(g, md_grad_cast(g, md_grad_1(g, "Size", x), t->dtype),
                       md_grad_cast(g, md_grad_1(g, "Size", y), t->dtype));
}

/* Vectors of int64 that are known. */
static const int64_t *known_ints(const md_grad *g, md_part p, int *n)
{
    const md_tensor *t = p == MD_PART_NONE ? NULL : g->m.part[p].data;

    if (!t || t->dtype != MD_DTYPE_I64 || t->shape.rank != 1)
        return NULL;
    *n = (int)t->shape.dim[0];
    return t->data;
}

md_part md_grad_join(md_grad *g, md_part a, md_part b)
{
    int64_t both[2 * MD_RANK_MAX];
    int n_a = 0, n_b = 0;
    const int64_t *x = known_ints(g, a, &n_a), *y = known_ints(g, b, &n_b);

    if (x && y && n_a + n_b <= 2 * MD_RANK_MAX) {
        for (int i = 0; i < n_a + n_b; i++)
            both[i] = i < n_a ? x[i] : y[i - n_a];
        return md_grad_ints(g, both, n_a + n_b);
    }
    return MD_GRAD_STEP(g, .op = "Concat", .in = { a, b }, .n_in = 2,
                        .attr = { MD_GIVE_I("axis", 0) }, .n_attr = 1);
}

md_part md_grad_sum_ints(md_grad *g, md_part a, md_part b)
{
    int64_t sum[MD_RANK_MAX];
    int n_a = 0, n_b = 0;
    const int64_t *x = known_ints(g, a, &n_a), *y = known_ints(g, b, &n_b);

    if (!x || !y || n_a != n_b || n_a > MD_RANK_MAX)
        return md_grad_add(g, a, b);
    for (int i = 0; i < n_a; i++) {
        if (!md_add_i64(&sum[i], x[i], y[i]))
            md_grad_refuse(g, "sizes too large");
    }
    return md_grad_ints(g, sum, n_a);
}

/* --- shapes --------------------------------------------------------------- */

static bool same_shape(const md_type *a, const md_type *b)
{
    if (!a->has_rank || !b->has_rank || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++) {
        if (!md_dim_equal(a->dim[d], b->dim[d]))
            return false;
    }
    return true;
}

md_part md_grad_reshape(md_grad *g, md_part p, md_part like)
{
    if (same_shape(md_grad_type(g, p), md_grad_type(g, like)))
        return p;
    p = MD_GRAD_STEP(g, .op = "Reshape", .in = { p, md_grad_shape(g, like) },
                     .n_in = 2, .attr = { MD_GIVE_I("allowzero", 1) },
                     .n_attr = 1);
    return md_grad_like(g, p, like);
}

md_part md_grad_expand(md_grad *g, md_part p, md_part like)
{
    if (same_shape(md_grad_type(g, p), md_grad_type(g, like)))
        return p;
    return md_grad_like(g, md_grad_2(g, "Expand", p, md_grad_shape(g, like)),
                        like);
}

md_part md_grad_fill(md_grad *g, md_part like, double v)
{
    return md_grad_expand(g, md_grad_num(g, like, v), like);
}

/* The axes of `a` along which b, which broadcasts to it, was spread; -1 where
 * that depends on sizes not known. */
static int spread_axes(const md_type *a, const md_type *b, int64_t *axes)
{
    int lead = a->rank - b->rank, n = 0;

    if (!a->has_rank || !b->has_rank || lead < 0)
        return -1;
    for (int d = 0; d < a->rank; d++) {
        md_dim x = a->dim[d], y = d < lead ? MD_DIM(1) : b->dim[d - lead];

        if (d >= lead && md_dim_equal(x, y))
            continue;
        if (!md_dim_is_const(y) ||
            (d >= lead && y.k != 1 && !md_dim_is_const(x)))
            return -1;
        if (d < lead || y.k == 1)
            axes[n++] = d;
    }
    return n;
}

md_part md_grad_sum_to(md_grad *g, md_part p, md_part like)
{
    const md_type *a = md_grad_type(g, p), *b = md_grad_type(g, like);
    int64_t axes[MD_RANK_MAX];
    int n = spread_axes(a, b, axes);

    if (g->status != MD_OK || n == 0)
        return p;
    if (n < 0) {
        p = MD_GRAD_STEP(g, .domain = "modeld", .op = "SumToShape",
                         .in = { p, md_grad_shape(g, like) }, .n_in = 2);
    } else {
        int lead = a->rank - b->rank;

        p = md_grad_reduce(g, "ReduceSum", p, axes, n, true);
        p = md_grad_squeeze(g, p, axes, lead); /* these come first */
    }
    return md_grad_like(g, p, like);
}

md_part md_grad_reduce(md_grad *g, const char *op, md_part p,
                       const int64_t *axes, int n_axes, bool keep)
{
    if (n_axes == 0)
        return p;
    return MD_GRAD_STEP(g, .op = op, .in = { p, md_grad_ints(g, axes, n_axes) },
                        .n_in = 2, .attr = { MD_GIVE_I("keepdims", keep) },
                        .n_attr = 1);
}

md_part md_grad_transpose(md_grad *g, md_part p, const int64_t *perm, int rank)
{
    return MD_GRAD_STEP(g, .op = "Transpose", .in = { p }, .n_in = 1,
                        .attr = { MD_GIVE_IS("perm", perm, (uint32_t)rank) },
                        .n_attr = 1);
}

md_part md_grad_unsqueeze(md_grad *g, md_part p, const int64_t *axes, int n)
{
    return n == 0 ? p : md_grad_2(g, "Unsqueeze", p, md_grad_ints(g, axes, n));
}

md_part md_grad_squeeze(md_grad *g, md_part p, const int64_t *axes, int n)
{
    return n == 0 ? p : md_grad_2(g, "Squeeze", p, md_grad_ints(g, axes, n));
}

md_part md_grad_crop(md_grad *g, md_part p, md_part to, int from)
{
    int64_t axes[MD_RANK_MAX], zeros[MD_RANK_MAX] = { 0 };
    int rank = md_grad_rank(g, to), n = rank - from;

    if (n <= 0 || same_shape(md_grad_type(g, p), md_grad_type(g, to)))
        return p;
    for (int i = 0; i < n; i++)
        axes[i] = from + i;
    return MD_GRAD_STEP(g, .op = "Slice",
                        .in = { p, md_grad_ints(g, zeros, n),
                                md_grad_dims(g, to, from, rank),
                                md_grad_ints(g, axes, n) },
                        .n_in = 4);
}

/* --- for who walks the graph ---------------------------------------------- */

md_status md_grad_begin(md_grad *g, md_error *err)
{
    const md_node *n = g->m.node;
    size_t n_in = n->n_in + 1u, n_out = n->n_out + 1u;

    g->y = md_arena_calloc(g->m.arena, n_out, sizeof(*g->y));
    g->dy = md_arena_calloc(g->m.arena, n_out, sizeof(*g->dy));
    g->dx = md_arena_calloc(g->m.arena, n_in, sizeof(*g->dx));
    g->wants = md_arena_calloc(g->m.arena, n_in, sizeof(*g->wants));
    if (!g->y || !g->dy || !g->dx || !g->wants)
        return md_fail_nomem(err, n_in * sizeof(*g->dx));
    for (uint32_t i = 0; i < n->n_in; i++)
        g->dx[i] = MD_PART_NONE;
    for (uint32_t i = 0; i < n->n_out; i++)
        g->y[i] = g->dy[i] = MD_PART_NONE;
    g->status = MD_OK;
    g->why = (md_error)MD_ERROR_INIT;
    return MD_OK;
}

static md_status outcome(const md_grad *g, md_error *err)
{
    if (g->status != MD_OK && err)
        *err = g->why;
    return g->status;
}

md_status md_grad_apply(md_grad *g, const md_op *op, md_error *err)
{
    op->grad(g);
    return outcome(g, err);
}

md_status md_grad_unfold(md_grad *g, const md_op *op, md_error *err)
{
    if (op->unfold)
        op->unfold(g);
    else
        g->status = op->compose(&g->m, &g->why);
    return outcome(g, err);
}

bool md_grad_known(const md_op *op)
{
    return op->grad || op->unfold || op->compose;
}
