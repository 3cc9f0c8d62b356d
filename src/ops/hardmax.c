#include <math.h>

#include "ops/common/softmax.h"
#include "ops/grad.h"

static void apply(double *v, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 1; i < n; i++)
        best = v[i] > v[best] || (isnan(v[i]) && !isnan(v[best])) ? i : best;
    for (int64_t i = 0; i < n; i++)
        v[i] = i == best;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    return md_softmax__run(x, out, apply, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_softmax__infer, compute, err);
}

const md_op md_op_hardmax = {
    .domain = "",
    .name = "Hardmax",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_softmax__infer,
    .run = run,
    .grad = md_grad_zero,
};
