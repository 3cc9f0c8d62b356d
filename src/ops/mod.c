/* Remainder: of the sign of the divisor, or with fmod = 1 of the dividend.
 * x mod 0 is 0 for integers, so that a model cannot trap. */
#include <math.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"

MD_ROW(row_fmod, double, fmod(x, y))

static const md_binary divisor_sign = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_MOD,
};

static const md_binary dividend_sign = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_REM,
};

static const md_binary dividend_sign_f64 = {
    .types = MD_TYPES_NUMBER,
    .f = row_fmod,
};

/* Floats have the dividend's sign only. */
static md_status infer(const md_infer *c, md_error *err)
{
    int64_t rule = md_node_attr_i(c->node, "fmod", 0);
    md_dtype dtype;

    MD_TRY(md_binary__infer(c, &divisor_sign, err));
    dtype = c->in[0]->dtype ? c->in[0]->dtype : c->in[1]->dtype;
    if (rule == 0 && dtype && md_dtype_is_float(dtype))
        return md_fail(err, MD_INVALID, "fmod is 0, 1 expected for %s",
                       md_dtype_name(dtype));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_binary *rule = &divisor_sign;

    if (md_exec_has(x, 0) && md_dtype_is_float(x->in[0]->dtype))
        rule = &dividend_sign_f64;
    else if (md_node_attr_i(x->node, "fmod", 0) != 0)
        rule = &dividend_sign;
    return md_binary__run(x, rule, infer, err);
}

/* a - b * n, where n is constant but for jumps; db = -dy * (a - y) / b. */
static void grad(md_grad *g)
{
    md_part dy = md_grad_of(g, 0);

    md_grad_give_sum(g, 0, dy);
    if (md_grad_wants(g, 1)) {
        md_part n = md_grad_sub(g, md_grad_out(g, 0), md_grad_in(g, 0));

        n = md_grad_div(g, n, md_grad_in(g, 1));
        md_grad_give_sum(g, 1, md_grad_mul(g, dy, n));
    }
}

const md_op md_op_mod = {
    .domain = "",
    .name = "Mod",
    .since = 10,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__mod,
    .grad = grad,
};
