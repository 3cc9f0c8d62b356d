#include "ops/common/data.h"
#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_T(BOOL),
    .op = MD_VBINARY_EQ,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_infer__elementwise(c, binary.types, err);
}

/* x is false. */
static md_status run(md_exec *x, md_error *err)
{
    uint8_t no = 0;
    md_tensor t = { .dtype = MD_DTYPE_BOOL, .data = &no };
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    return md_binary__chain(x, out, x->in[0], &(md_link){ &binary, &t }, 1,
                            err);
}

const md_op md_op_not = {
    .domain = "",
    .name = "Not",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__not,
};
