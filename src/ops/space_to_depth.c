/* Blocks of pixels become blocks of channels. */
#include "ops/common/util.h"
#include "ops/grad.h"

static md_status divide(const md_infer *c, md_dim *d, int64_t b, md_error *err)
{
    if (!md_dim_is_const(*d) && (d->k % b != 0 || d->scale % b != 0))
        return md_infer__fresh(c, d, err);
    if (d->k % b != 0)
        return md_fail(err, MD_INVALID, "size %lld does not divide by %lld",
                       (long long)d->k, (long long)b);
    d->k /= b;
    d->scale /= b;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t b = md_node_attr_i(c->node, "blocksize", 0);
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__rank(c, 0, 4, 4, err));
    if (b < 1 || b > INT16_MAX)
        return md_fail(err, MD_INVALID, "blocksize is %lld", (long long)b);
    t = *c->in[0];
    if (t.has_rank) {
        MD_TRY(md_dim__affine(&t.dim[1], t.dim[1], b * b, 0, err));
        MD_TRY(divide(c, &t.dim[2], b, err));
        MD_TRY(divide(c, &t.dim[3], b, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Axes n, y, x, c, h, w of the output. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t b = md_node_attr_i(x->node, "blocksize", 1);
    const int64_t *in = x->in[0]->shape.dim;
    int64_t h = in[2] / b, w = in[3] / b, c = in[1];
    /* n, c, h, y, x, w: what lies in one row of the input comes together. */
    md_shape dims = { 6, { in[0], c, h, b, b, w } };
    md_place to = { .t = out,
                    .stride = { b * b * c * h * w, h * w, w, b * c * h * w,
                                c * h * w, 1 } };
    md_place from = { .t = (md_tensor *)x->in[0],
                      .stride = { c * in[2] * in[3], in[2] * in[3], b * in[3],
                                  in[3], 1, b } };

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
    static const char *const keep[] = { "blocksize", "mode", NULL };

    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "DepthToSpace",
                              .in = { md_grad_of(g, 0) }, .n_in = 1,
                              .keep = keep));
}

const md_op md_op_space_to_depth = {
    .domain = "",
    .name = "SpaceToDepth",
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
