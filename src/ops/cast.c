#include "ops/common/convert.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t to = md_node_attr_i(c->node, "to", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_convert__check_attrs(c->node, err));
    if (to < 1 || to >= MD_DTYPE_N || !md_dtype_is_valid((int)to) ||
        to == MD_DTYPE_C64 || to == MD_DTYPE_C128)
        return md_fail(err, MD_INVALID, "to is %lld, an element type expected",
                       (long long)to);
    md_infer__like(c, 0, 0, (md_dtype)to);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, md_convert__compute, err);
}

const md_op md_op_cast = {
    .domain = "",
    .name = "Cast",
    .since = 7,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
