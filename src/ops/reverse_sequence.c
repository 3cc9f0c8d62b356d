/* The first sequence_lens[b] steps of each sequence b, backwards. */
#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t batch = md_node_attr_i(c->node, "batch_axis", 1);
    int64_t time = md_node_attr_i(c->node, "time_axis", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, 1, 1, 1, err));
    if (batch < 0 || batch > 1 || time != 1 - batch)
        return md_fail(err, MD_INVALID,
                       "batch_axis is %lld and time_axis %lld, 0 and 1 or 1 "
                       "and 0 expected",
                       (long long)batch, (long long)time);
    if (c->in[0]->has_rank)
        MD_TRY(md_infer__length(c, c->in[1], c->in[0]->dim[batch],
                                "sequence_lens", err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    const int64_t *lens;
    int64_t n_batch, steps, inner; /* rows of inner elements */
    bool batch_inner;              /* [steps][n_batch], else the other way */
} job;

/* Rows [from, to) of the result. */
static void reverse_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const int64_t n = j->batch_inner ? j->n_batch : j->steps;
    const int64_t row = j->inner * md_dtype_bits(j->out->dtype) / 8;
    char *y = (char *)j->out->data + from * row;
    int64_t outer = from / n, inner = from % n;

    for (int64_t i = from; i < to; i++, y += row) {
        const int64_t t = j->batch_inner ? outer : inner;
        const int64_t len = j->lens[j->batch_inner ? inner : outer];
        const int64_t k = t < len ? len - 1 - t : t;
        const int64_t at = i + (k - t) * (j->batch_inner ? n : 1);

        memcpy(y, (const char *)j->in->data + at * row, (size_t)row);
        if (++inner == n) {
            inner = 0;
            outer++;
        }
    }
}

/* The same of elements that share bytes: all of them. */
static void reverse_packed(const job *j)
{
    md_place to = { .t = j->out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)j->in, .stride = { 1 } };

    for (int64_t i = 0; i < j->n_batch * j->steps; i++) {
        const int64_t b = j->batch_inner ? i % j->n_batch : i / j->steps;
        const int64_t t = j->batch_inner ? i / j->n_batch : i % j->steps;
        const int64_t k = t < j->lens[b] ? j->lens[b] - 1 - t : t;

        to.at = i * j->inner;
        from.at = (i + (k - t) * (j->batch_inner ? j->n_batch : 1)) * j->inner;
        md_move(&to, &from, &(md_shape){ 1, { j->inner } });
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int batch = md_node_attr_i(x->node, "batch_axis", 1) ? 1 : 0;
    const md_shape *s = &out->shape;
    const double bits = md_dtype_bits(out->dtype);
    job j = { .out = out,
              .in = x->in[0],
              .lens = x->in[1]->data,
              .n_batch = s->dim[batch],
              .steps = s->dim[1 - batch],
              .inner = md_shape_span(s, 2, s->rank),
              .batch_inner = batch == 1 };

    (void)ar;
    for (int64_t b = 0; b < j.n_batch; b++) {
        if (j.lens[b] < 0 || j.lens[b] > j.steps)
            return md_fail(err, MD_INVALID,
                           "sequence %lld has the length %lld, 0 to %lld "
                           "expected",
                           (long long)b, (long long)j.lens[b],
                           (long long)j.steps);
    }
    if (bits < 8)
        reverse_packed(&j);
    else
        md_exec__share(x, j.n_batch * j.steps,
                       4.0 + (double)j.inner * bits / 64.0, reverse_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_reverse_sequence = {
    .domain = "",
    .name = "ReverseSequence",
    .since = 10,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = md_grad_moved,
};
