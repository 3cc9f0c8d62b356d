#include "ops/common/convert.h"
#include "ops/common/data.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_convert__check_attrs(c->node, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_ANY, err));
    md_infer__like(c, 0, 0, c->in[1]->dtype);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, md_convert__compute, err);
}

static void grad(md_grad *g)
{
    md_dtype to = md_grad_type(g, md_grad_in(g, 0))->dtype;

    md_grad_give(g, 0, md_grad_cast(g, md_grad_of(g, 0), to));
}

const md_op md_op_cast_like = {
    .domain = "",
    .name = "CastLike",
    .since = 15,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__cast,
    .grad = grad,
};
