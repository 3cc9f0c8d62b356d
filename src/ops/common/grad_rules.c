/* Adjoints that operators share: ops/grad.h. */
#include "ops/grad.h"

void md_grad_chain(md_grad *g, md_part slope)
{
    md_grad_give(g, 0, md_grad_mul(g, md_grad_of(g, 0), slope));
}

void md_grad_reshaped(md_grad *g)
{
    md_grad_give(g, 0, md_grad_reshape(g, md_grad_of(g, 0), md_grad_in(g, 0)));
}

void md_grad_zero(md_grad *g)
{
    (void)g;
}

void md_grad_reduced_extreme(md_grad *g)
{
    md_part x = md_grad_in(g, 0), y, dy = md_grad_reduced(g, &y), those, n;

    those =
        md_grad_cast(g, md_grad_2(g, "Equal", x, y), md_grad_type(g, x)->dtype);
    n = md_grad_again(g, "ReduceSum", those, y);
    md_grad_give(g, 0, md_grad_mul(g, those, md_grad_div(g, dy, n)));
}

/* --- elementwise ------------------------------------------------------------ */

bool md_grad_plain(md_grad *g)
{
    if (g->m.opset < 7 && md_node_attr_i(g->m.node, "broadcast", 0) != 0)
        md_grad_refuse(g, "broadcast in opset %lld", (long long)g->m.opset);
    return g->status == MD_OK;
}

void md_grad_extreme(md_grad *g)
{
    md_part y = md_grad_out(g, 0), n = MD_PART_NONE, share;
    uint32_t n_in = g->m.node->n_in;
    md_dtype type = md_grad_type(g, y)->dtype;

    for (uint32_t i = 0; i < n_in; i++) {
        md_part is = md_grad_2(g, "Equal", md_grad_in(g, i), y);

        is = md_grad_cast(g, is, type);
        n = n == MD_PART_NONE ? is : md_grad_add(g, n, is);
    }
    share = md_grad_div(g, md_grad_of(g, 0), n);
    for (uint32_t i = 0; i < n_in; i++) {
        md_part is;

        if (!md_grad_wants(g, i))
            continue;
        is = md_grad_2(g, "Equal", md_grad_in(g, i), y);
        md_grad_give_sum(g, i,
                         md_grad_where(g, is, share, md_grad_num(g, share, 0)));
    }
}

/* --- places ----------------------------------------------------------------- */

static md_part flat(md_grad *g, md_part p)
{
    static const int64_t all = -1;

    return md_grad_2(g, "Reshape", p, md_grad_ints(g, &all, 1));
}

md_part md_grad_collect(md_grad *g, md_part dy, md_part at, md_part x)
{
    md_part sum = flat(g, md_grad_fill(g, x, 0));

    sum = MD_GRAD_STEP(
        g, .op = "ScatterElements", .in = { sum, flat(g, at), flat(g, dy) },
        .n_in = 3,
        .attr = { MD_GIVE_I("axis", 0), MD_GIVE_S("reduction", "add") },
        .n_attr = 2);
    return md_grad_reshape(g, sum, x);
}

/* The node again, with other parts as its inputs. */
static md_part again(md_grad *g, md_part first)
{
    const md_node *n = g->m.node;
    md_compose_step s = { .op = n->op,
                          .domain = n->domain,
                          .opset = g->m.opset,
                          .in = { first },
                          .n_in = n->n_in };

    if (n->n_in > MD_COMPOSE_INPUTS || n->n_attr > MD_COMPOSE_ATTRS) {
        md_grad_refuse(g, "too many inputs or attributes");
        return MD_PART_NONE;
    }
    for (uint32_t i = 1; i < n->n_in; i++)
        s.in[i] = md_grad_in(g, i);
    for (uint32_t i = 0; i < n->n_attr; i++)
        s.attr[s.n_attr++] = n->attr[i];
    return md_grad_step(g, &s);
}

void md_grad_moved(md_grad *g)
{
    md_part x = md_grad_in(g, 0), numbers;
    md_part step[2] = { MD_PART_NONE, MD_PART_NONE };
    md_status s = MD_OK;

    if (g->status == MD_OK)
        s = md_compose_scalar(&g->m, MD_DTYPE_I64, 0, &step[0], &g->why);
    if (s == MD_OK && g->status == MD_OK)
        s = md_compose_scalar(&g->m, MD_DTYPE_I64, 1, &step[1], &g->why);
    if (s != MD_OK)
        g->status = s;
    numbers = MD_GRAD_STEP(g, .op = "Range",
                           .in = { step[0], md_grad_1(g, "Size", x), step[1] },
                           .n_in = 3);
    numbers = again(g, md_grad_reshape(g, numbers, x));
    md_grad_give(g, 0, md_grad_collect(g, md_grad_of(g, 0), numbers, x));
}

md_part md_grad_wrapped(md_grad *g, md_part at, md_part size)
{
    md_part zero = md_grad_num(g, at, 0), from_end;

    from_end = md_grad_reshape(g, md_grad_add(g, at, size), at);
    return md_grad_where(g, md_grad_2(g, "Less", at, zero), from_end, at);
}

/* --- reductions ------------------------------------------------------------- */

/* The axes that the node reduces; MD_PART_NONE: all, or none at all. */
static md_part axes_of(md_grad *g)
{
    uint32_t n;
    const int64_t *list = md_node_attr_is(g->m.node, "axes", &n);
    md_part p = md_grad_in(g, 1);

    if (list)
        p = md_grad_ints(g, list, (int)n);
    if (p != MD_PART_NONE && g->m.part[p].data &&
        md_tensor_n(g->m.part[p].data) == 0)
        return MD_PART_NONE;
    return p;
}

static bool reduces_nothing(md_grad *g)
{
    return axes_of(g) == MD_PART_NONE &&
           md_node_attr_i(g->m.node, "noop_with_empty_axes", 0) != 0;
}

static md_part with_axes(md_grad *g, md_part p)
{
    md_part axes = axes_of(g);
    int64_t all[MD_RANK_MAX];
    int rank;

    if (p == MD_PART_NONE || reduces_nothing(g) ||
        md_node_attr_i(g->m.node, "keepdims", 1) != 0)
        return p;
    if (axes == MD_PART_NONE) {
        rank = md_grad_rank(g, md_grad_in(g, 0));
        for (int d = 0; d < rank; d++)
            all[d] = d;
        return md_grad_unsqueeze(g, p, all, rank);
    }
    return md_grad_2(g, "Unsqueeze", p, axes);
}

md_part md_grad_reduced(md_grad *g, md_part *y)
{
    if (y)
        *y = with_axes(g, md_grad_out(g, 0));
    return with_axes(g, md_grad_of(g, 0));
}

md_part md_grad_again(md_grad *g, const char *op, md_part p, md_part y)
{
    if (reduces_nothing(g))
        return p;
    p = MD_GRAD_STEP(g, .op = op, .in = { p, axes_of(g) }, .n_in = 2,
                     .attr = { MD_GIVE_I("keepdims", 1) }, .n_attr = 1);
    return md_grad_like(g, p, y);
}

/* --- normalization ---------------------------------------------------------- */

void md_grad_norm_begin(md_grad *g, md_grad_norm *r, md_part x)
{
    md_part variance;

    if (r->centered)
        x = md_grad_sub(
            g, x, md_grad_reduce(g, "ReduceMean", x, r->axes, r->n_axes, true));
    variance = md_grad_reduce(g, "ReduceMean", md_grad_mul(g, x, x), r->axes,
                              r->n_axes, true);
    variance = md_grad_add(g, variance, md_grad_num(g, x, r->epsilon));
    r->scale = md_grad_1(g, "Reciprocal", md_grad_1(g, "Sqrt", variance));
    r->n = md_grad_mul(g, x, r->scale);
}

/* dx = scale * (dn - mean(dn) - n * mean(n * dn)); without a mean that is
 * taken away, without the second term. */
md_part md_grad_norm_end(md_grad *g, const md_grad_norm *r, md_part dn)
{
    md_part along = md_grad_reduce(g, "ReduceMean", md_grad_mul(g, r->n, dn),
                                   r->axes, r->n_axes, true);
    md_part d = md_grad_sub(g, dn, md_grad_mul(g, r->n, along));

    if (r->centered)
        d = md_grad_sub(
            g, d,
            md_grad_reduce(g, "ReduceMean", dn, r->axes, r->n_axes, true));
    return md_grad_mul(g, d, r->scale);
}
