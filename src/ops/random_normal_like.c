/* RandomNormal in the shape of the input. */
#include "ops/common/random.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_random__infer_like(c, MD_TYPES_FLOAT, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_random__run_normal(x, infer, err);
}

const md_op md_op_random_normal_like = {
    .domain = "",
    .name = "RandomNormalLike",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_IMPURE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = md_grad_zero,
};
