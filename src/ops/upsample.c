/* The forerunner of Resize: scales are an attribute, from opset 9 an input,
 * before opset 7 those of height and width. */
#include <string.h>

#include "base/size.h"
#include "ops/common/resample.h"
#include "ops/grad.h"

/* Scale of axis i; *known is false when the input is not constant. */
static md_status scale_of(const md_infer *c, int i, int rank, float *out,
                          bool *known, md_error *err)
{
    float old[4] = { 1.0f, 1.0f };
    const float *v = NULL;
    uint32_t n = 0;

    *known = true;
    if (c->opset < 7) {
        old[2] = md_node_attr_f(c->node, "height_scale", 0.0f);
        old[3] = md_node_attr_f(c->node, "width_scale", 0.0f);
        v = old;
        n = 4;
    } else if (c->opset < 9) {
        v = md_node_attr_fs(c->node, "scales", &n);
    } else {
        MD_TRY(md_infer__need(c, 1, MD_T(F32), err));
        MD_TRY(md_infer__rank(c, 1, 1, 1, err));
        *known = c->cin[1] != NULL;
        if (!*known)
            return MD_OK;
        v = c->cin[1]->data;
        n = (uint32_t)md_min_i64(md_tensor_n(c->cin[1]), UINT32_MAX);
    }
    if (n != (uint32_t)rank)
        return md_fail(err, MD_INVALID, "%u scales for rank %d", (unsigned)n,
                       rank);
    if (!(v[i] >= 1.0f))
        return md_fail(err, MD_INVALID,
                       "scale %g of axis %d, at least 1 expected", (double)v[i],
                       i);
    *out = v[i];
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const char *mode = md_node_attr_s(c->node, "mode", "nearest");
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    if (strcmp(mode, "nearest") != 0 && strcmp(mode, "linear") != 0 &&
        strcmp(mode, "bilinear") != 0)
        return md_fail(err, MD_INVALID, "mode is '%s'", mode);
    MD_TRY(md_infer__moved(c, "scales", 9, 1, err));
    t = *c->in[0];
    for (int i = 0; t.has_rank && i < t.rank; i++) {
        bool known;
        float scale;

        MD_TRY(scale_of(c, i, t.rank, &scale, &known, err));
        if (known)
            MD_TRY(md_resample__dim(c, &t.dim[i], t.dim[i], scale, err));
        else
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const char *mode = md_node_attr_s(x->node, "mode", "nearest");
    md_resample r = { .coordinates = MD_COORD_ASYMMETRIC,
                      .nearest = MD_NEAREST_FLOOR };
    md_infer c;

    r.mode =
        strcmp(mode, "nearest") == 0 ? MD_RESAMPLE_NEAREST : MD_RESAMPLE_LINEAR;
    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    for (int i = 0; i < out->shape.rank; i++) {
        bool known;
        float scale = 1.0f;

        MD_TRY(scale_of(&c, i, out->shape.rank, &scale, &known, err));
        r.scale[i] = scale;
    }
    r.cpu = x->cpu;
    return md_resample__run(&r, out, x->in[0], x->pool, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* Where elements are only repeated or left out, they are followed. */
static void grad(md_grad *g)
{
    if (strcmp(md_node_attr_s(g->m.node, "mode", "nearest"), "nearest") != 0)
        md_grad_refuse(g, "mode is %s", md_node_attr_s(g->m.node, "mode", ""));
    md_grad_moved(g);
}

const md_op md_op_upsample = {
    .domain = "",
    .name = "Upsample",
    .since = 1,
    .until = 9,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
