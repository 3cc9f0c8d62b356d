/* The first sequence_lens[b] steps of each sequence b, backwards. */
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

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int batch = md_node_attr_i(x->node, "batch_axis", 1) ? 1 : 0;
    const md_shape *s = &out->shape;
    int64_t steps = s->dim[1 - batch];
    md_shape row = { 1, { md_shape_span(s, 2, s->rank) } };
    md_place to = { .t = out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)x->in[0], .stride = { 1 } };

    (void)ar;
    for (int64_t b = 0; b < s->dim[batch]; b++) {
        int64_t n = ((const int64_t *)x->in[1]->data)[b];

        if (n < 0 || n > steps)
            return md_fail(err, MD_INVALID,
                           "sequence %lld has the length %lld, 0 to %lld "
                           "expected",
                           (long long)b, (long long)n, (long long)steps);
        for (int64_t t = 0; t < steps; t++) {
            int64_t k = t < n ? n - 1 - t : t;

            to.at =
                (batch ? t * s->dim[1] + b : b * s->dim[1] + t) * row.dim[0];
            from.at =
                (batch ? k * s->dim[1] + b : b * s->dim[1] + k) * row.dim[0];
            md_move(&to, &from, &row);
        }
    }
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
