#include "ops/common/data.h"
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64, .has_rank = true };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_tensor_set_i64(out, 0, md_tensor_n(x->in[0]));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_size = {
    .domain = "",
    .name = "Size",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__size,
};
