/* 0 keeps a dimension (unless allowzero), one -1 takes what is left.  The shape
 * is an attribute before opset 5, then an input. */
#include "ops/common/view.h"

/* Input dimensions that are not yet matched by an output dimension: a
 * constant factor and symbolic ones. */
typedef struct left {
    int64_t k;
    int n;
    md_dim sym[MD_RANK_MAX];
} left;

static md_status count(left *out, const md_type *in, md_error *err)
{
    md_dim k = MD_DIM(1);

    *out = (left){ 0 };
    for (int i = 0; i < in->rank; i++) {
        if (md_dim_is_const(in->dim[i]))
            MD_TRY(md_dim__affine(&k, k, in->dim[i].k, 0, err));
        else
            out->sym[out->n++] = in->dim[i];
    }
    out->k = k.k;
    return MD_OK;
}

static bool match(left *l, md_dim d)
{
    for (int i = 0; i < l->n; i++) {
        if (md_dim_equal(l->sym[i], d)) {
            l->sym[i] = l->sym[--l->n];
            return true;
        }
    }
    return false;
}

/* What remains after division by the constants of the output; fresh when it
 * cannot be told. */
static md_status take_rest(const md_infer *c, md_dim *out, const left *l,
                           int64_t k, bool exact, md_error *err)
{
    if (exact && l->n == 0 && k > 0 && l->k % k == 0) {
        *out = MD_DIM(l->k / k);
        return MD_OK;
    }
    if (exact && l->n == 1 && k > 0 && l->k % k == 0)
        return md_dim__affine(out, l->sym[0], l->k / k, 0, err);
    if (exact && l->n == 0 && k > 0)
        return md_fail(err, MD_INVALID,
                       "%lld elements do not divide into rows of %lld",
                       (long long)l->k, (long long)k);
    if (k == 0)
        return md_fail(err, MD_INVALID, "shape has -1 beside a 0");
    return md_infer__fresh(c, out, err);
}

/* Fill in t's dimensions from the wanted ones. */
static md_status solve(const md_infer *c, md_type *t, const md_ints *want,
                       md_error *err)
{
    bool zero = md_node_attr_i(c->node, "allowzero", 0) != 0;
    const md_type *in = c->in[0];
    bool exact = in->has_rank;
    md_dim k = MD_DIM(1);
    int open = -1;
    left l = { 0 };

    if (exact)
        MD_TRY(count(&l, in, err));
    for (int i = 0; i < want->n; i++) {
        int64_t w = want->v[i];

        if (w < -1 || (w == -1 && open >= 0))
            return md_fail(err, MD_INVALID,
                           w == -1 ? "shape has -1 twice (%lld)"
                                   : "shape has the dimension %lld",
                           (long long)w);
        if (w == -1) {
            open = i;
            continue;
        }
        if (w == 0 && !zero && in->has_rank && i >= in->rank)
            return md_fail(err, MD_INVALID,
                           "shape keeps dimension %d of a rank %d tensor", i,
                           in->rank);
        t->dim[i] = MD_DIM(w);
        if (w == 0 && !zero) {
            if (!in->has_rank) {
                exact = false;
                MD_TRY(md_infer__fresh(c, &t->dim[i], err));
                continue;
            }
            t->dim[i] = in->dim[i];
        }
        if (md_dim_is_const(t->dim[i]))
            MD_TRY(md_dim__affine(&k, k, t->dim[i].k, 0, err));
        else
            exact = match(&l, t->dim[i]) && exact;
    }
    if (open >= 0)
        return take_rest(c, &t->dim[open], &l, k.k, exact, err);
    if (exact && l.n == 0 && l.k != k.k)
        return md_fail(err, MD_INVALID,
                       "%lld elements given, the shape holds %lld",
                       (long long)l.k, (long long)k.k);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    md_ints want;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    if (c->opset >= 5)
        MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 1, 1, 1, err));
    MD_TRY(md_infer__moved_ints(c, "shape", 5, 1, &want, err));
    if (!want.given)
        return md_fail(err, MD_INVALID, "Reshape lacks shape");
    if (want.n > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       want.n, MD_RANK_MAX);
    t.dtype = c->in[0]->dtype;
    if (want.n >= 0 && !want.known)
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, want.n, err));
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
    .flags = MD_OP_VIEW,
    .infer = infer,
    .run = run,
};
