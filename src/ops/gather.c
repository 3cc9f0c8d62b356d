/* Slices of an axis, by index. */
#include <string.h>

#include "ops/common/data.h"
#include "ops/common/gather.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0], *at = c->in[1];
    md_type t = { 0 };
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    t.dtype = in->dtype;
    if (in->has_rank)
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
    if (in->has_rank && at->has_rank) {
        if (in->rank + at->rank - 1 > MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                           in->rank + at->rank - 1, MD_RANK_MAX);
        t.has_rank = true;
        for (int i = 0; i < axis; i++)
            t.dim[t.rank++] = in->dim[i];
        for (int i = 0; i < at->rank; i++)
            t.dim[t.rank++] = at->dim[i];
        for (int i = axis + 1; i < in->rank; i++)
            t.dim[t.rank++] = in->dim[i];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    const int64_t *at; /* n indices */
    int64_t n, inner;  /* elements that an index brings */
    int64_t size;      /* of the axis */
} job;

/* Single elements: with a constant size each is a load and a store. */
#define PICK(constant)                                                         \
    case constant:                                                             \
        for (int64_t i = from; i < to; i++)                                    \
            memcpy(y + i * (constant), x + at[i] * (constant), constant);      \
        return;

/* Elements [from, to) of y, which are `bytes` long. */
static void pick(char *y, const char *x, const int64_t *at, int64_t from,
                 int64_t to, int64_t bytes)
{
    switch (bytes) {
        PICK(1)
        PICK(2)
        PICK(4)
        PICK(8)
        PICK(16)
    default:
        for (int64_t i = from; i < to; i++)
            memcpy(y + i * bytes, x + at[i] * bytes, (size_t)bytes);
    }
}

/* Blocks [from, to) of the result, n of each outer index. */
static void gather_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    int64_t bytes = j->inner * (int64_t)(md_dtype_bits(j->in->dtype) / 8);

    while (from < to) {
        int64_t outer = from / j->n, i = from % j->n;
        int64_t end = md_min_i64(j->n, i + to - from);

        pick((char *)j->out->data + outer * j->n * bytes,
             (const char *)j->in->data + outer * j->size * bytes, j->at, i, end,
             bytes);
        from += end - i;
    }
}

/* Elements below 8 bits. */
static void gather_packed(const job *j, int64_t outer)
{
    md_place to = { .t = j->out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)j->in, .stride = { 1 } };
    md_shape block = { 1, { j->inner } };

    for (int64_t i = 0; i < outer * j->n; i++) {
        to.at = i * j->inner;
        from.at = (i / j->n * j->size + j->at[i % j->n]) * j->inner;
        md_move(&to, &from, &block);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    job j = { .out = out, .in = x->in[0], .n = md_tensor_n(x->in[1]) };
    unsigned bits = md_dtype_bits(out->dtype);
    int64_t outer, *at;
    int axis;

    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             in->rank, err));
    j.size = in->dim[axis];
    j.inner = md_shape_span(in, axis + 1, in->rank);
    outer = md_shape_span(in, 0, axis);
    MD_TRY(md_gather__indices(&at, x->in[1], j.size, ar, err));
    j.at = at;
    if (bits < 8)
        gather_packed(&j, outer);
    else
        md_exec__share(x, outer * j.n, 1.0 + (double)(j.inner * bits) / 64.0,
                       gather_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* dy summed into the slices of zeros that were picked, the axis in front. */
static void grad(md_grad *g)
{
    static const int64_t last = -1;
    md_part x = md_grad_in(g, 0), at = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    int rank = md_grad_rank(g, x), q = md_grad_rank(g, at), axis;
    int64_t there[2 * MD_RANK_MAX], front[MD_RANK_MAX], back[MD_RANK_MAX];

    if (md_axis_normalize(&axis, md_node_attr_i(g->m.node, "axis", 0), rank,
                          NULL) != MD_OK ||
        rank + q - 1 > MD_RANK_MAX) {
        md_grad_refuse(g, "axis or ranks %d and %d", rank, q);
        return;
    }
    for (int d = 0; d < rank + q - 1; d++)
        there[d] = d < q ? axis + d : d < q + axis ? d - q : d;
    for (int d = 0; d < rank; d++)
        front[d] = d == 0 ? axis : d <= axis ? d - 1 : d;
    for (int d = 0; d < rank; d++)
        back[front[d]] = d;
    at = md_grad_cast(g, at, MD_DTYPE_I64);
    at = md_grad_wrapped(g, at, md_grad_dims(g, x, axis, axis + 1));
    x = md_grad_fill(g, x, 0);
    if (axis > 0) {
        x = md_grad_transpose(g, x, front, rank);
        dy = md_grad_transpose(g, dy, there, rank + q - 1);
    }
    x = MD_GRAD_STEP(g, .op = "ScatterND",
                     .in = { x, md_grad_unsqueeze(g, at, &last, 1), dy },
                     .n_in = 3, .attr = { MD_GIVE_S("reduction", "add") },
                     .n_attr = 1);
    if (axis > 0)
        x = md_grad_transpose(g, x, back, rank);
    md_grad_give(g, 0, x);
}

const md_op md_op_gather = {
    .domain = "",
    .name = "Gather",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_GATHERS | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = grad,
};
