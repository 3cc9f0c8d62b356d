/*
 * The gradient of one value of the graph with respect to others.  Its nodes are
 * put in its place when a model is loaded (engine/gradient.h); alone it only
 * tells their types.
 */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < c->node->n_out; i++) {
        if (i >= c->node->n_in)
            return md_fail(err, MD_INVALID, "output %u has no input", i);
        md_infer__like(c, i, i, md_infer__dtype(c, i));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    (void)x;
    return md_fail(err, MD_UNSUPPORTED,
                   "a Gradient is one of a graph that is loaded as a model");
}

const md_op md_op_gradient = {
    .domain = "ai.onnx.preview.training",
    .name = "Gradient",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .flags = MD_OP_IMPURE, /* never folded */
    .infer = infer,
    .run = run,
};
