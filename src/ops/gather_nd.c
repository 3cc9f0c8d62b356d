#include <string.h>

#include "ops/common/data.h"
#include "ops/common/gather.h"
#include "ops/grad.h"

/* Output: indices' shape without its last axis, then what a tuple leaves. */
static md_status shape_of(const md_infer *c, md_type *t, int batch,
                          md_error *err)
{
    const md_type *in = c->in[0], *at = c->in[1];
    md_dim tuple = at->dim[at->rank - 1];

    if (batch < 0 || batch >= in->rank || batch >= at->rank)
        return md_fail(err, MD_INVALID, "batch_dims is %d", batch);
    for (int i = 0; i < batch; i++)
        MD_TRY(md_infer__must_equal(c, at->dim[i], in->dim[i],
                                    "a batch dimension", err));
    if (!md_dim_is_const(tuple))
        return MD_OK;
    if (tuple.k < 1 || tuple.k > in->rank - batch)
        return md_fail(err, MD_INVALID,
                       "indices are tuples of %lld, 1 to %d expected",
                       (long long)tuple.k, in->rank - batch);
    if (at->rank - 1 + in->rank - batch - (int)tuple.k > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "the result's rank is above %d",
                       MD_RANK_MAX);
    t->has_rank = true;
    for (int i = 0; i < at->rank - 1; i++)
        t->dim[t->rank++] = at->dim[i];
    for (int i = batch + (int)tuple.k; i < in->rank; i++)
        t->dim[t->rank++] = in->dim[i];
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t batch = md_node_attr_i(c->node, "batch_dims", 0);
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, 1, 1, MD_RANK_MAX, err));
    t.dtype = c->in[0]->dtype;
    if (c->in[0]->has_rank && c->in[1]->has_rank)
        MD_TRY(shape_of(
            c, &t, batch < -1 || batch > MD_RANK_MAX ? -1 : (int)batch, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Where each tuple's slice begins in the input. */
static md_status find_slices(int64_t **out, const md_exec *x, int64_t n,
                             md_arena *ar, md_error *err)
{
    const md_shape *in = &x->in[0]->shape, *is = &x->in[1]->shape;
    int batch = (int)md_node_attr_i(x->node, "batch_dims", 0);
    int64_t tuple = is->dim[is->rank - 1];
    int64_t per = n / md_shape_span(is, 0, batch);
    int64_t block = md_shape_span(in, batch, in->rank);
    int64_t stride[MD_RANK_MAX], *at, v[MD_CHUNK], loaded = 0;
    const int64_t whole = MD_CHUNK / tuple; /* tuples loaded at a time */

    md_shape_strides(stride, in);
    MD_TRY(md_exec__scratch(&at, ar, n, sizeof(*at), err));
    for (int64_t i = 0; i < n; i++) {
        int64_t *of = v + i % whole * tuple;

        if (i == loaded) {
            loaded = md_min_i64(n, i + whole);
            md_load_i64(v, x->in[1], i * tuple, (loaded - i) * tuple);
        }
        at[i] = batch > 0 ? i / per * block : 0;
        for (int64_t k = 0; k < tuple; k++) {
            MD_TRY(md_gather__wrap(&of[k], in->dim[batch + k], err));
            at[i] += of[k] * stride[batch + k];
        }
    }
    *out = at;
    return MD_OK;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    const int64_t *at;
    md_shape row;
} job;

/* Slices [from, to). */
static void gather_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const size_t size = md_dtype_bits(j->out->dtype) / 8;
    const size_t row = (size_t)j->row.dim[0] * size;

    for (int64_t i = from; i < to; i++)
        memcpy((char *)j->out->data + (size_t)i * row,
               (const char *)j->in->data + (size_t)j->at[i] * size, row);
}

/* The same of elements that share bytes. */
static void gather_packed(const job *j, int64_t n)
{
    md_place y = { .t = j->out, .stride = { 1 } };
    md_place x = { .t = (md_tensor *)j->in, .stride = { 1 } };

    for (int64_t i = 0; i < n; i++) {
        y.at = i * j->row.dim[0];
        x.at = j->at[i];
        md_move(&y, &x, &j->row);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape, *is = &x->in[1]->shape;
    int batch = (int)md_node_attr_i(x->node, "batch_dims", 0);
    int64_t tuple = is->dim[is->rank - 1];
    int64_t n = md_tensor_n(x->in[1]) / tuple, *at;
    unsigned bits = md_dtype_bits(out->dtype);
    job j = { .out = out, .in = x->in[0], .row = { 1, { 0 } } };

    MD_TRY(find_slices(&at, x, n, ar, err));
    j.at = at;
    j.row.dim[0] = md_shape_span(in, batch + (int)tuple, in->rank);
    if (bits < 8)
        gather_packed(&j, n);
    else
        md_exec__share(x, n, 3.0 + (double)(j.row.dim[0] * bits) / 64.0,
                       gather_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0);

    if (md_node_attr_i(g->m.node, "batch_dims", 0) != 0) {
        md_grad_moved(g);
        return;
    }
    md_grad_give(
        g, 0,
        MD_GRAD_STEP(
            g, .op = "ScatterND",
            .in = { md_grad_fill(g, x, 0), md_grad_in(g, 1), md_grad_of(g, 0) },
            .n_in = 3, .attr = { MD_GIVE_S("reduction", "add") }, .n_attr = 1));
}

const md_op md_op_gather_nd = {
    .domain = "",
    .name = "GatherND",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = grad,
};
