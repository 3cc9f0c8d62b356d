#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return x > 0.0 || isnan(x) ? x : 0.0;
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT | MD_TYPES_SIGNED,
    .f = apply,
    .map = MD_MAP_F64_RELU,
    .whole = { { MD_VBINARY_MAX, 0 } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part dx =
        MD_GRAD_STEP(g, .domain = "modeld", .op = "ReluGrad",
                     .in = { md_grad_of(g, 0), md_grad_out(g, 0) }, .n_in = 2);

    md_grad_give(g, 0, dx);
}

const md_op md_op_relu = {
    .domain = "",
    .name = "Relu",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .grad = grad,
};
