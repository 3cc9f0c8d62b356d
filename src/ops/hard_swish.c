#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return x * fmax(0.0, fmin(1.0, x / 6.0 + 0.5));
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
};

MD_UNARY_FUNCTIONS

/* x * max(0, min(1, x / 6 + 1 / 2)) */
static void unfold(md_grad *g)
{
    md_part x = md_grad_in(g, 0), gate;

    gate =
        md_grad_add(g, md_grad_scale(g, x, 1.0 / 6.0), md_grad_num(g, x, 0.5));
    gate = MD_GRAD_STEP(
        g, .op = "Clip",
        .in = { gate, md_grad_num(g, x, 0), md_grad_num(g, x, 1) }, .n_in = 3);
    md_grad_result(g, 0, md_grad_mul(g, x, gate));
}

const md_op md_op_hard_swish = {
    .domain = "",
    .name = "HardSwish",
    .since = 14,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .unfold = unfold,
};
