/* A window without any input position gives the type's lowest value. */
#include <math.h>

#include "ops/common/pool.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_Q8, err));
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_I64, err);
}

/* Offset in a plane counted with the last spatial axis slowest. */
static int64_t column_major(const md_pool_plan *p, int64_t at)
{
    int64_t r = 0, scale = 1;
    int64_t c[MD_SPATIAL_MAX];

    for (int i = MD_SPATIAL_MAX; i-- > 0; at /= p->in[i])
        c[i] = at % p->in[i];
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        r += c[i] * scale;
        scale *= p->in[i];
    }
    return r;
}

static void pool(const md_exec *x, const md_pool_plan *p, md_tensor **out)
{
    bool columns = md_node_attr_i(x->node, "storage_order", 0) != 0;
    bool real = md_dtype_is_float(x->in[0]->dtype);
    double lowest =
        real ? -INFINITY : (double)md_dtype_int_min(x->in[0]->dtype);

    for (int64_t i = 0; i < p->n_planes * p->out_size; i++) {
        int64_t base = i / p->out_size * p->in_size;
        int64_t k[MD_SPATIAL_MAX], at, best_at = -1;
        md_span s[MD_SPATIAL_MAX];
        bool started = false;
        double best = lowest;

        md_pool__spans(s, p, i % p->out_size);
        while (md_pool__next(p, s, k, &at, &started)) {
            double v;

            md_load_f64(&v, x->in[0], base + at, 1);
            if (best_at < 0 || v > best || isnan(v)) {
                best = v;
                best_at = at;
            }
        }
        if (out[0])
            md_store_f64(out[0], i, &best, 1);
        if (columns && best_at >= 0)
            best_at = column_major(p, best_at);
        if (out[1])
            ((int64_t *)out[1]->data)[i] = best_at < 0 ? -1 : base + best_at;
    }
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[2];
    const md_tensor *any;
    md_pool_plan p;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    any = out[0] ? out[0] : out[1];
    if (!any || md_tensor_n(any) == 0)
        return MD_OK;
    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &any->shape, err));
    pool(x, &p, out);
    return MD_OK;
}

/* To where each maximum was found, the first of those that are equal. */
static void grad(md_grad *g)
{
    static const char *const keep[] = { "auto_pad",  "ceil_mode",
                                        "dilations", "kernel_shape",
                                        "pads",      "strides",
                                        NULL };
    md_part x = md_grad_in(g, 0), at;

    at = MD_GRAD_STEP(g, .op = "MaxPool", .in = { x }, .n_in = 1, .n_out = 2,
                      .keep = keep);
    if (at != MD_PART_NONE)
        md_grad_give(g, 0, md_grad_collect(g, md_grad_of(g, 0), at + 1, x));
}

const md_op md_op_max_pool = {
    .domain = "",
    .name = "MaxPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_pool,
    .grad = grad,
};
