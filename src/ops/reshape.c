/* 0 keeps a dimension (unless allowzero), one -1 takes what is left.  The shape
 * is an attribute before opset 5, then an input. */
#include "ops/common/data.h"
#include "ops/common/view.h"
#include "ops/grad.h"

/* What the -1 stands for: all elements divided by those of the others. */
static md_status take_rest(const md_infer *c, md_dim *out, md_dim all,
                           md_dim rest, md_error *err)
{
    if (md_dim_is_const(rest) && rest.k == 0)
        return md_fail(err, MD_INVALID, "shape has -1 beside a 0");
    if (md_dim_is_const(all) && md_dim_is_const(rest) && all.k % rest.k != 0)
        return md_fail(err, MD_INVALID,
                       "%lld elements do not divide into rows of %lld",
                       (long long)all.k, (long long)rest.k);
    return md_dim__derive(c, out, MD_EXPR_EXACT, all, rest, err);
}

/* Dimension i of the result for a wanted one that is not -1. */
static md_status keep_or_set(const md_infer *c, md_dim *out, md_dim want, int i,
                             md_error *err)
{
    bool zero = md_node_attr_i(c->node, "allowzero", 0) != 0;
    const md_type *in = c->in[0];
    md_dim unused;

    *out = want;
    if (!md_dim_is_const(want)) {
        /* A 0 would keep the input's, which is no other where they agree. */
        if (in->has_rank && i < in->rank && md_dim_equal(want, in->dim[i]))
            return MD_OK;
        return md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, want,
                              MD_DIM(zero ? 0 : 1), err);
    }
    if (want.k < -1)
        return md_fail(err, MD_INVALID, "shape has the dimension %lld",
                       (long long)want.k);
    if (want.k != 0 || zero)
        return MD_OK;
    if (!in->has_rank)
        return md_infer__fresh(c, out, err);
    if (i >= in->rank)
        return md_fail(err, MD_INVALID,
                       "shape keeps dimension %d of a rank %d tensor", i,
                       in->rank);
    *out = in->dim[i];
    return MD_OK;
}

/* Fill in t's dimensions from the wanted ones. */
static md_status solve(const md_infer *c, md_type *t, const md_dims *want,
                       md_error *err)
{
    md_dim all, rest = MD_DIM(1);
    int open = -1;

    for (int i = 0; i < want->n; i++) {
        if (md_dim_equal(want->v[i], MD_DIM(-1))) {
            if (open >= 0)
                return md_fail(err, MD_INVALID, "shape has -1 twice (-1)");
            open = i;
            continue;
        }
        MD_TRY(keep_or_set(c, &t->dim[i], want->v[i], i, err));
        MD_TRY(md_dim__mul(c, &rest, rest, t->dim[i], err));
    }
    if (!c->in[0]->has_rank)
        return open < 0 ? MD_OK : md_infer__fresh(c, &t->dim[open], err);
    MD_TRY(md_dim__span(c, &all, c->in[0], 0, c->in[0]->rank, err));
    if (open >= 0)
        return take_rest(c, &t->dim[open], all, rest, err);
    if (md_dim_is_const(all) && md_dim_is_const(rest) && all.k != rest.k)
        return md_fail(err, MD_INVALID,
                       "%lld elements given, the shape holds %lld",
                       (long long)all.k, (long long)rest.k);
    return md_infer__must_equal(c, all, rest, "the number of elements", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    md_dims want;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    if (c->opset >= 5)
        MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 1, 1, 1, err));
    MD_TRY(md_infer__moved_dims(c, "shape", 5, 1, &want, err));
    if (!want.given)
        return md_fail(err, MD_INVALID, "Reshape lacks shape");
    if (want.n > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       want.n, MD_RANK_MAX);
    t.dtype = c->in[0]->dtype;
    if (want.n >= 0 && !want.known)
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, want.n, err));
    if (want.n == 0) { /* one element, known or not */
        want.known = true;
        MD_TRY(solve(c, &t, &want, err));
    }
    if (want.known) {
        t.has_rank = true;
        t.rank = want.n;
        MD_TRY(solve(c, &t, &want, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_reshape = {
    .domain = "",
    .name = "Reshape",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_VIEW | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = md_grad_reshaped,
};
