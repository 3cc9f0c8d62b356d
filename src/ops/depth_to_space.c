/* Blocks of channels become blocks of pixels. */
#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t b = md_node_attr_i(c->node, "blocksize", 0);
    const char *mode = md_node_attr_s(c->node, "mode", "DCR");
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__rank(c, 0, 4, 4, err));
    if (b < 1 || b > INT16_MAX)
        return md_fail(err, MD_INVALID, "blocksize is %lld", (long long)b);
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return md_fail(err, MD_INVALID, "mode is '%s', DCR or CRD expected",
                       mode);
    t = *c->in[0];
    if (t.has_rank) {
        if (md_dim_is_const(t.dim[1]) && t.dim[1].k % (b * b) != 0)
            return md_fail(err, MD_INVALID,
                           "%lld channels do not divide by %lld",
                           (long long)t.dim[1].k, (long long)(b * b));
        if (md_dim_is_const(t.dim[1]))
            t.dim[1].k /= b * b;
        else
            MD_TRY(md_infer__fresh(c, &t.dim[1], err));
        MD_TRY(md_dim__affine(&t.dim[2], t.dim[2], b, 0, err));
        MD_TRY(md_dim__affine(&t.dim[3], t.dim[3], b, 0, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Axes n, c, h, y, x, w, of which x changes faster than w in the output: the
 * longer one is last, so that rows are moved and not blocks. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool dcr = strcmp(md_node_attr_s(x->node, "mode", "DCR"), "DCR") == 0;
    int64_t b = md_node_attr_i(x->node, "blocksize", 1);
    const int64_t *in = x->in[0]->shape.dim;
    int64_t c = out->shape.dim[1], h = in[2], w = in[3], hw = h * w;
    md_shape dims = { 6, { in[0], c, h, b, b, w } };
    md_place to = {
        .t = out, .stride = { in[1] * hw, b * b * hw, b * b * w, b * w, 1, b }
    };
    md_place from = { .t = (md_tensor *)x->in[0],
                      .stride = { in[1] * hw, dcr ? hw : b * b * hw, w,
                                  dcr ? b * c * hw : b * hw, dcr ? c * hw : hw,
                                  1 } };

    (void)ar;
    (void)err;
    md_exec__move(x, &to, &from, &dims);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    static const char *const keep[] = { "blocksize", NULL };

    if (strcmp(md_node_attr_s(g->m.node, "mode", "DCR"), "DCR") != 0) {
        md_grad_moved(g);
        return;
    }
    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "SpaceToDepth",
                              .in = { md_grad_of(g, 0) }, .n_in = 1,
                              .keep = keep));
}

const md_op md_op_depth_to_space = {
    .domain = "",
    .name = "DepthToSpace",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
