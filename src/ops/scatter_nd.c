/* out = data; out[indices[i, :], ...] = updates[i, ...]. */
#include <string.h>

#include "ops/common/data.h"
#include "ops/common/gather.h"
#include "ops/common/scatter.h"
#include "ops/grad.h"

/* updates: indices' shape without its last axis, then what a tuple leaves of
 * the data's. */
static md_status check_dims(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0], *at = c->in[1], *up = c->in[2];
    md_dim tuple = at->dim[at->rank - 1];
    int rank;

    if (!md_dim_is_const(tuple))
        return MD_OK;
    if (tuple.k < 1 || tuple.k > in->rank)
        return md_fail(err, MD_INVALID,
                       "indices are tuples of %lld, 1 to %d expected",
                       (long long)tuple.k, in->rank);
    rank = at->rank - 1 + in->rank - (int)tuple.k;
    if (!up->has_rank)
        return MD_OK;
    MD_TRY(md_infer__rank(c, 2, rank, rank, err));
    for (int i = 0; i < rank; i++) {
        int k = i - (at->rank - 1);

        MD_TRY(md_infer__must_equal(
            c, up->dim[i], k < 0 ? at->dim[i] : in->dim[(int)tuple.k + k],
            "a dimension of updates", err));
    }
    return MD_OK;
}

/* Is it known how the shapes go together? */
static bool is_checked(const md_infer *c)
{
    const md_type *at = c->in[1];

    return at->has_rank && at->rank > 0 &&
           md_dim_is_const(at->dim[at->rank - 1]) && c->in[2]->has_rank;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_scatter how;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__need(c, 2, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, 1, 1, MD_RANK_MAX, err));
    MD_TRY(md_scatter__how(&how, c->node, c->opset, c->in[0]->dtype, err));
    if (c->in[0]->has_rank && c->in[1]->has_rank)
        MD_TRY(check_dims(c, err));
    if (c->in[0]->has_rank && !is_checked(c)) /* sizes do not tell yet */
        return md_infer__fresh_type(c, &c->out[0], c->in[0]->dtype,
                                    c->in[0]->rank, err);
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape, *is = &x->in[1]->shape;
    int64_t tuple = is->dim[is->rank - 1];
    int64_t n = md_tensor_n(x->in[1]) / tuple, stride[MD_RANK_MAX];
    int64_t slice = md_shape_span(s, (int)tuple, s->rank);
    const int64_t *index = x->in[1]->data;
    md_scatter how;

    (void)ar;
    MD_TRY(md_scatter__how(&how, x->node, x->opset, out->dtype, err));
    md_shape_strides(stride, s);
    md_exec__move_all(x, out, x->in[0]);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;

        for (int64_t k = 0; k < tuple; k++) {
            int64_t v = index[i * tuple + k];

            MD_TRY(md_gather__wrap(&v, s->dim[k], err));
            at += v * stride[k];
        }
        md_scatter__row(how, out, at, x->in[2], i * slice, slice);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* What was written over is zero, what was written comes from where it went;
 * written twice, it is not known which one stayed. */
static void grad(md_grad *g)
{
    const char *how = md_node_attr_s(g->m.node, "reduction", "none");
    md_part at = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    bool add = strcmp(how, "add") == 0;

    if (!add && strcmp(how, "none") != 0)
        md_grad_refuse(g, "reduction is %s", how);
    if (md_grad_wants(g, 0))
        md_grad_give(
            g, 0,
            add ? dy
                : MD_GRAD_STEP(
                      g, .op = "ScatterND",
                      .in = { dy, at, md_grad_fill(g, md_grad_in(g, 2), 0) },
                      .n_in = 3));
    if (md_grad_wants(g, 2))
        md_grad_give(
            g, 2,
            MD_GRAD_STEP(g, .op = "GatherND", .in = { dy, at }, .n_in = 2));
}

const md_op md_op_scatter_nd = {
    .domain = "",
    .name = "ScatterND",
    .since = 11,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0_2,
    .grad = grad,
};
