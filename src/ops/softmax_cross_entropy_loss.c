/* -log(softmax(scores))[label] times the label's weight; output 1 is
 * log(softmax(scores)) over axis 1. */
#include "ops/common/loss.h"
#include "ops/common/softmax.h"
#include "ops/grad.h"

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    return md_loss__run(x, out, md_softmax__log, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, md_loss__infer, 2, compute, err);
}

static void unfold(md_grad *g)
{
    md_part log =
        MD_GRAD_STEP(g, .op = "LogSoftmax", .in = { md_grad_in(g, 0) },
                     .n_in = 1, .attr = { MD_GIVE_I("axis", 1) }, .n_attr = 1);

    md_grad_result(g, 0, md_loss__steps(g, log));
    md_grad_result(g, 1, log);
}

const md_op md_op_softmax_cross_entropy_loss = {
    .domain = "",
    .name = "SoftmaxCrossEntropyLoss",
    .since = 12,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 2,
    .infer = md_loss__infer,
    .run = run,
    .unfold = unfold,
};
