/* -input[label] times the label's weight, for log-probabilities. */
#include "ops/common/loss.h"
#include "ops/grad.h"

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    return md_loss__run(x, out, NULL, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, md_loss__infer, 2, compute, err);
}

static void unfold(md_grad *g)
{
    md_grad_result(g, 0, md_loss__steps(g, md_grad_in(g, 0)));
}

const md_op md_op_negative_log_likelihood_loss = {
    .domain = "",
    .name = "NegativeLogLikelihoodLoss",
    .since = 12,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = md_loss__infer,
    .run = run,
    .unfold = unfold,
};
