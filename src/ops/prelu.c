#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_PRELU,
    .channels = true,
};

/* The slope spreads over the input, never the input over the slope. */
static md_status check_slope(const md_infer *c, const md_type *in,
                             const md_type *slope, md_error *err)
{
    if (!in->has_rank || !slope->has_rank)
        return MD_OK;
    if (slope->rank > in->rank)
        return md_fail(err, MD_INVALID,
                       "the slope has rank %d, at most %d expected",
                       slope->rank, in->rank);
    for (int i = 0; i < slope->rank; i++) {
        md_dim a = in->dim[in->rank - slope->rank + i], b = slope->dim[i];

        if (md_dim_is_const(a) && md_dim_is_const(b) && b.k != 1 && b.k != a.k)
            return md_fail(err, MD_INVALID,
                           "the slope has %lld elements along an axis of %lld",
                           (long long)b.k, (long long)a.k);
        MD_TRY(md_infer__spreads(c, b, a, err));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_binary__infer(c, &binary, err));
    if (c->opset < 7)
        return MD_OK;
    return check_slope(c, c->in[0], c->in[1], err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_binary__run(x, &binary, infer, err);
}

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    md_part zero = md_grad_num(g, x, 0), below = md_grad_2(g, "Less", x, zero);

    if (g->m.opset < 7)
        md_grad_refuse(g, "opset %lld", (long long)g->m.opset);
    if (md_grad_wants(g, 0))
        md_grad_give(
            g, 0,
            md_grad_where(g, below, md_grad_mul(g, dy, md_grad_in(g, 1)), dy));
    if (md_grad_wants(g, 1))
        md_grad_give_sum(g, 1,
                         md_grad_where(g, below, md_grad_mul(g, dy, x), zero));
}

const md_op md_op_prelu = {
    .domain = "",
    .name = "PRelu",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_binary,
    .grad = grad,
};
