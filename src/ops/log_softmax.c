#include "ops/common/softmax.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    return md_softmax__run(x, out, md_softmax__log, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_softmax__infer, compute, err);
}

/* dx = dy - exp(y) * sum(dy), where the sum is that of a row. */
static void grad(md_grad *g)
{
    md_part y = md_grad_out(g, 0), dy = md_grad_of(g, 0), sum;
    int64_t axes[MD_RANK_MAX];
    int n = md_softmax__axes(g, axes);

    sum = md_grad_reduce(g, "ReduceSum", dy, axes, n, true);
    sum = md_grad_mul(g, md_grad_1(g, "Exp", y), sum);
    md_grad_give(g, 0, md_grad_sub(g, dy, sum));
}

const md_op md_op_log_softmax = {
    .domain = "",
    .name = "LogSoftmax",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_softmax__infer,
    .run = run,
    .fast = &md_fast_softmax,
    .grad = grad,
};
