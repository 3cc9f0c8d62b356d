#include <math.h>

#include "ops/common/elementwise.h"

static double apply(double x, const double *p)
{
    (void)p;
    return isnan(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT | MD_TYPES_F8,
    .f = apply,
    .result = MD_DTYPE_BOOL,
};

static const md_binary unordered = {
    .types = MD_TYPES_FLOAT,
    .op = MD_VBINARY_UNORDERED,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_unary__infer(c, &unary, err);
}

/* x and x have no order where x is NaN. */
static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out;

    if (!md_exec_has(x, 0) || !(unordered.types >> x->in[0]->dtype & 1))
        return md_unary__run(x, &unary, infer, err);
    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    return md_binary__chain(x, out, x->in[0],
                            &(md_link){ &unordered, x->in[0] }, 1, err);
}

const md_op md_op_is_nan = {
    .domain = "",
    .name = "IsNaN",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
