#include "ops/common/integer_conv.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_integer_conv__infer(c, MD_DTYPE_I32, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    return md_integer_conv__sums(x, out->data, md_tensor_n(out), ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_conv_integer = {
    .domain = "",
    .name = "ConvInteger",
    .since = 10,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = md_integer_conv__macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_conv_integer,
};
