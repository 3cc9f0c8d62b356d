#include "ops/common/pool.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_NONE, err);
}

static void emit(void *ctx, int64_t i, double mean)
{
    md_store_f64(ctx, i, &mean, 1);
}

/* Places in the window of each place of the last axis. */
static md_status count_places(const double **out, const md_pool_plan *p,
                              bool count_pad, md_arena *ar, md_error *err)
{
    double *counts;

    MD_TRY(md_exec__scratch(&counts, ar, p->out[2], sizeof(*counts), err));
    for (int64_t o = 0; o < p->out[2]; o++) {
        md_span s[MD_SPATIAL_MAX];

        md_pool__spans(s, p, o);
        counts[o] = (double)(count_pad ? s[2].padded
                                       : md_max_i64(s[2].hi - s[2].lo, 0));
    }
    *out = counts;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool count_pad = md_node_attr_i(x->node, "count_include_pad", 0) != 0;
    const double *counts;
    md_pool_plan p;

    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &out->shape, err));
    if (out->dtype == MD_DTYPE_F64 && md_pool__has_rows_f64(&p)) {
        MD_TRY(count_places(&counts, &p, count_pad, ar, err));
        md_pool__rows_f64(x, &p, out->data, counts, count_pad);
        return MD_OK;
    }
    md_pool__average(&p, x->in[0], count_pad, emit, out);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_grad_give(g, 0,
                 md_pool__spread(g, md_grad_of(g, 0), md_grad_in(g, 0), false));
}

const md_op md_op_average_pool = {
    .domain = "",
    .name = "AveragePool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_pool,
    .grad = grad,
};
