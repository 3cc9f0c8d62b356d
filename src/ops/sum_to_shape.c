/*
 * modeld's own: input 0 summed over the axes along which a tensor of the shape
 * in input 1 would be broadcast to it.  The adjoint of broadcasting, where
 * which axes these are is known in a run only.
 */
#include "ops/common/util.h"
#include "ops/grad.h"

static md_status check_dim(const md_infer *c, md_dim from, md_dim to,
                           md_error *err)
{
    if (!md_dim_is_const(to) || to.k == 1)
        return MD_OK;
    return md_infer__must_equal(c, from, to, "a dimension to sum to", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = md_infer__dtype(c, 0) };
    const md_type *x = c->in[0];
    md_dims dims;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__shape_dims(c, 1, &dims, err));
    if (x->has_rank && dims.n > x->rank)
        return md_fail(err, MD_INVALID, "rank %d does not sum to rank %d",
                       x->rank, dims.n);
    for (int i = 0; i < dims.n && x->has_rank && dims.known; i++)
        MD_TRY(check_dim(c, x->dim[x->rank - dims.n + i], dims.v[i], err));
    return md_infer__give_dims(c, &t, &dims, err);
}

/* Elements along the last axis of x, and where they are summed. */
typedef struct row {
    double *to;
    const double *from;
    int64_t n;
    bool one; /* all into one */
} row;

static void add_row(const row *r)
{
    for (int64_t i = 0; i < r->n; i++)
        r->to[r->one ? 0 : i] += r->from[i];
}

/* In the order of x, in double. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    int64_t stride[MD_RANK_MAX], index[MD_RANK_MAX] = { 0 }, at = 0;
    int rank = in->shape.rank, last = rank - 1;
    int64_t n = rank ? in->shape.dim[last] : 1;
    double *sum, *line;

    MD_TRY(md_exec__scratch(&sum, ar, md_tensor_n(out), sizeof(*sum), err));
    MD_TRY(md_exec__scratch(&line, ar, n, sizeof(*line), err));
    md_shape_broadcast_strides(stride, &out->shape, &in->shape);
    for (bool more = md_tensor_n(in) > 0; more; at += n) {
        row r = { sum, line, n, rank && stride[last] == 0 };

        for (int d = 0; d < last; d++)
            r.to += index[d] * stride[d];
        md_load_f64(line, in, at, n);
        add_row(&r);
        more = md_step_index(index, in->shape.dim, last < 0 ? 0 : last);
    }
    md_store_f64(out, 0, sum, md_tensor_n(out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_grad_give(g, 0, md_grad_expand(g, md_grad_of(g, 0), md_grad_in(g, 0)));
}

const md_op md_op_sum_to_shape = {
    .domain = "modeld",
    .name = "SumToShape",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .grad = grad,
};
