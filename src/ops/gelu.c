#include "ops/common/gelu.h"
#include "ops/grad.h"
#include "ops/lower.h"

#include <math.h>
#include <string.h>

static md_status infer(const md_infer *c, md_error *err)
{
    const char *how = md_node_attr_s(c->node, "approximate", "none");

    if (strcmp(how, "none") != 0 && strcmp(how, "tanh") != 0)
        return md_fail(err, MD_INVALID,
                       "approximate is '%s', none or tanh expected", how);
    return md_infer__elementwise(c, MD_TYPES_FLOAT, err);
}

static md_status run(md_exec *x, md_error *err)
{
    const char *how = md_node_attr_s(x->node, "approximate", "none");

    return md_unary__run(
        x, strcmp(how, "tanh") == 0 ? &md_gelu__tanh : &md_gelu__erf, infer,
        err);
}

/* Phi(x) + x * phi(x); with tanh, from its steps. */
static void grad(md_grad *g)
{
    const char *how = md_node_attr_s(g->m.node, "approximate", "none");
    md_part x = md_grad_in(g, 0), square = md_grad_mul(g, x, x);
    md_part one = md_grad_num(g, x, 1), half = md_grad_scale(g, x, 0.5);
    md_part f, df; /* y = x / 2 * (1 + f(x)) */

    if (strcmp(how, "tanh") == 0) {
        const double k = sqrt(2.0 / acos(-1.0)), cube = 0.044715;

        f = md_grad_add(g, one, md_grad_scale(g, square, cube));
        f = md_grad_1(g, "Tanh", md_grad_scale(g, md_grad_mul(g, x, f), k));
        df = md_grad_add(g, one, md_grad_scale(g, square, 3 * cube));
        df = md_grad_mul(g, md_grad_scale(g, df, k),
                         md_grad_sub(g, one, md_grad_mul(g, f, f)));
    } else {
        f = md_grad_1(g, "Erf", md_grad_scale(g, x, sqrt(0.5)));
        df = md_grad_1(g, "Exp", md_grad_scale(g, square, -0.5));
        df = md_grad_scale(g, df, sqrt(2.0 / acos(-1.0)));
    }
    f = md_grad_scale(g, md_grad_add(g, one, f), 0.5);
    md_grad_chain(g, md_grad_add(g, f, md_grad_mul(g, half, df)));
}

const md_op md_op_gelu = {
    .domain = "",
    .name = "Gelu",
    .since = 20,
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
