/* Inputs: x, scales (opset 10); x, roi, scales, sizes since. */
#include <math.h>
#include <string.h>

#include "ops/common/resample.h"
#include "ops/grad.h"
#include "ops/lower.h"

/* The index of s in names, MD_INVALID when it is none of them. */
static md_status find(int *out, const char *attr, const char *s,
                      const char *const *names, md_error *err)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], s) == 0) {
            *out = i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID, "%s is '%s'", attr, s);
}

static md_status read_modes(md_resample *r, const md_node *n, int64_t opset,
                            md_error *err)
{
    static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
    static const char *const coords[] = {
        "half_pixel",           "half_pixel_symmetric",
        "pytorch_half_pixel",   "align_corners",
        "asymmetric",           "tf_crop_and_resize",
        "tf_half_pixel_for_nn", NULL
    };
    static const char *const nearests[] = { "round_prefer_floor",
                                            "round_prefer_ceil", "floor",
                                            "ceil", NULL };
    const char *mode = md_node_attr_s(n, "mode", "nearest");
    int i = 0;

    *r = (md_resample){ .exclude_outside =
                            md_node_attr_i(n, "exclude_outside", 0) != 0,
                        .antialias = md_node_attr_i(n, "antialias", 0) != 0,
                        .cubic_a = md_node_attr_f(n, "cubic_coeff_a", -0.75f),
                        .outside =
                            md_node_attr_f(n, "extrapolation_value", 0.0f) };
    MD_TRY(find(&i, "mode", mode, modes, err));
    r->mode = (enum md_resample_mode)i;
    MD_TRY(find(&i, "coordinate_transformation_mode",
                md_node_attr_s(n, "coordinate_transformation_mode",
                               opset < 11 ? "asymmetric" : "half_pixel"),
                coords, err));
    r->coordinates = (md_coordinates)i;
    MD_TRY(find(&i, "nearest_mode",
                md_node_attr_s(n, "nearest_mode",
                               opset < 11 ? "floor" : "round_prefer_floor"),
                nearests, err));
    r->nearest = (md_nearest)i;
    return MD_OK;
}

/* The inputs that say how large. */
typedef struct wanted {
    md_ints axes;
    const md_tensor *scales, *roi;
    md_dims sizes;
    bool known;
} wanted;

static bool present(const md_infer *c, uint32_t i)
{
    const md_type *t;

    if (!md_infer_has(c, i))
        return false;
    t = c->in[i];
    /* an empty tensor means absent */
    return !(t->has_rank && t->rank == 1 && md_dim_is_const(t->dim[0]) &&
             t->dim[0].k == 0);
}

/* Whether input i is empty cannot be told. */
static bool uncertain(const md_infer *c, uint32_t i)
{
    return md_infer_has(c, i) && !c->cin[i] &&
           !(c->in[i]->has_rank && c->in[i]->rank == 1 &&
             md_dim_is_const(c->in[i]->dim[0]));
}

static md_status read_wanted(wanted *w, const md_infer *c, int rank,
                             md_error *err)
{
    uint32_t at = c->opset < 11 ? 1 : 2;
    bool scales = present(c, at);
    bool sizes = c->opset >= 11 && present(c, 3);
    int64_t n = 0;

    *w = (wanted){ .known = true };
    if (c->opset < 11 && c->node->n_in > 2)
        return md_fail(err, MD_INVALID,
                       "Resize has %u inputs, 2 expected before opset 11",
                       (unsigned)c->node->n_in);
    MD_TRY(md_infer__attr_ints(c->node, "axes", &w->axes, err));
    if (!w->axes.given) {
        w->axes.n = rank;
        for (int i = 0; i < rank; i++)
            w->axes.v[i] = i;
    }
    MD_TRY(md_infer__axes(&w->axes, rank, err));
    if (c->opset >= 11)
        MD_TRY(md_infer__may(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__may(c, at, MD_T(F32), err));
    MD_TRY(md_infer__rank(c, at, 1, 1, err));
    if (scales && sizes && (uncertain(c, at) || uncertain(c, 3))) {
        w->known = false;
        return MD_OK;
    }
    if (scales == sizes)
        return md_fail(err, MD_INVALID, "either scales or sizes expected");
    if (sizes) {
        MD_TRY(md_infer__shape_dims(c, 3, &w->sizes, err));
        w->known = w->sizes.known;
        n = w->sizes.n;
    } else {
        w->scales = c->cin[at];
        w->known = w->scales != NULL;
        n = w->known ? md_tensor_n(w->scales) : -1;
    }
    if (n >= 0 && n != w->axes.n)
        return md_fail(err, MD_INVALID, "%lld scales or sizes for %d axes",
                       (long long)n, w->axes.n);
    if (c->opset >= 11 && present(c, 1))
        w->roi = c->cin[1];
    if (w->roi && md_tensor_n(w->roi) != (int64_t)2 * w->axes.n)
        return md_fail(err, MD_INVALID, "roi has %lld values, %d expected",
                       (long long)md_tensor_n(w->roi), 2 * w->axes.n);
    return MD_OK;
}

/* One scale for all axes, so that none comes out larger (or smaller) than
 * wanted; 0 where each axis has its own, -1 where it cannot be told. */
static md_status keep_ratio(const md_infer *c, const wanted *w, double *scale,
                            md_error *err)
{
    const char *policy =
        md_node_attr_s(c->node, "keep_aspect_ratio_policy", "stretch");
    bool larger = strcmp(policy, "not_smaller") == 0;

    *scale = 0.0;
    if (strcmp(policy, "stretch") == 0)
        return MD_OK;
    if (!larger && strcmp(policy, "not_larger") != 0)
        return md_fail(err, MD_INVALID, "keep_aspect_ratio_policy is '%s'",
                       policy);
    for (int i = 0; i < w->axes.n; i++) {
        md_dim d = c->in[0]->dim[w->axes.v[i]];
        double s;

        if (!md_dim_is_const(d) || !md_dim_is_const(w->sizes.v[i]) ||
            d.k == 0) {
            *scale = md_dim_is_const(d) && d.k == 0 ? 0.0 : -1.0;
            return MD_OK;
        }
        s = (double)w->sizes.v[i].k / (double)d.k;
        if (*scale == 0.0 || (larger ? s > *scale : s < *scale))
            *scale = s;
    }
    return MD_OK;
}

/* Output dimensions, and r's scales where they are known. */
static md_status resolve(const md_infer *c, const wanted *w, md_type *t,
                         md_resample *r, md_error *err)
{
    double ratio = 0.0;

    for (int i = 0; i < MD_RANK_MAX; i++)
        r->scale[i] = 1.0;
    if (w->sizes.given)
        MD_TRY(keep_ratio(c, w, &ratio, err));
    for (int i = 0; i < w->axes.n; i++) {
        int d = (int)w->axes.v[i];
        md_dim in = t->dim[d];

        if (w->scales) {
            float scale = (float)md_tensor_get_f64(w->scales, i);

            MD_TRY(md_resample__dim(c, &t->dim[d], in, scale, err));
            r->scale[d] = scale;
            continue;
        }
        if (ratio < 0.0) {
            MD_TRY(md_infer__fresh(c, &t->dim[d], err));
            continue;
        }
        t->dim[d] = w->sizes.v[i];
        if (!md_dim_is_const(in) || in.k == 0 ||
            !md_dim_is_const(w->sizes.v[i]))
            continue;
        r->scale[d] = (double)w->sizes.v[i].k / (double)in.k;
        if (ratio > 0.0) {
            r->scale[d] = ratio;
            if (ratio * (double)in.k > 0x1p40)
                return md_fail(err, MD_TOO_LARGE, "axis %d would be %g", d,
                               ratio * (double)in.k);
            t->dim[d] = MD_DIM((int64_t)floor(ratio * (double)in.k + 0.5));
        }
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_resample r;
    md_type t;
    wanted w;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(read_modes(&r, c->node, c->opset, err));
    t = *in;
    if (in->has_rank) {
        MD_TRY(read_wanted(&w, c, in->rank, err));
        if (w.known)
            MD_TRY(resolve(c, &w, &t, &r, err));
        for (int i = 0; !w.known && i < w.axes.n; i++)
            MD_TRY(md_infer__fresh(c, &t.dim[w.axes.v[i]], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int rank = out->shape.rank;
    md_resample r;
    md_infer c;
    md_type t;
    wanted w;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_modes(&r, x->node, x->opset, err));
    MD_TRY(read_wanted(&w, &c, rank, err));
    t = *c.in[0];
    MD_TRY(resolve(&c, &w, &t, &r, err));
    for (int i = 0; i < rank; i++)
        r.end[i] = 1.0;
    for (int i = 0; w.roi && i < w.axes.n; i++) {
        r.start[w.axes.v[i]] = md_tensor_get_f64(w.roi, i);
        r.end[w.axes.v[i]] = md_tensor_get_f64(w.roi, w.axes.n + i);
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

const md_op md_op_resize = {
    .domain = "",
    .name = "Resize",
    .since = 10,
    .in_min = 1,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_resize,
    .grad = grad,
};
