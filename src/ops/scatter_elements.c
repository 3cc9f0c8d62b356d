/* out = data; out[..., indices[i], ...] = updates[i] along one axis. */
#include <string.h>

#include "ops/common/data.h"
#include "ops/common/scatter.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_scatter__infer_elements(c, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, md_scatter__elements, err);
}

/* What was written over is zero, what was written comes from where it went;
 * written twice, it is not known which one stayed. */
static void grad(md_grad *g)
{
    static const char *const keep[] = { "axis", NULL };
    const char *how = md_node_attr_s(g->m.node, "reduction", "none");
    md_part at = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    bool add = strcmp(how, "add") == 0;

    if (!add && strcmp(how, "none") != 0)
        md_grad_refuse(g, "reduction is %s", how);
    if (md_grad_wants(g, 0))
        md_grad_give(
            g, 0,
            add ? dy
                : MD_GRAD_STEP(
                      g, .op = "ScatterElements",
                      .in = { dy, at, md_grad_fill(g, md_grad_in(g, 2), 0) },
                      .n_in = 3, .keep = keep));
    if (md_grad_wants(g, 2))
        md_grad_give(g, 2,
                     MD_GRAD_STEP(g, .op = "GatherElements", .in = { dy, at },
                                  .n_in = 2, .keep = keep));
}

const md_op md_op_scatter_elements = {
    .domain = "",
    .name = "ScatterElements",
    .since = 11,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0_2,
    .grad = grad,
};
