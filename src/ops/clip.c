/* Limits are attributes before opset 11, then inputs. */
#include <float.h>
#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    if (c->opset < 11 && c->node->n_in > 1)
        return md_fail(err, MD_INVALID,
                       "Clip has %u inputs, 1 expected before opset 11",
                       (unsigned)c->node->n_in);
    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    for (uint32_t i = 1; i < 3; i++) {
        MD_TRY(md_infer__may(c, i, MD_TYPES_NUMBER, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        if (md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "a limit", err));
    }
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static const md_binary low = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_MAX,
    .swapped = true, /* so that NaN passes */
};

static const md_binary high = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_MIN,
    .swapped = true,
};

/* Limit i, of which no element is NaN: such a one limits nothing.  Before opset
 * 11 that of float when no attribute says otherwise, put at `room`. */
static bool limit(md_tensor *out, const md_exec *x, uint32_t i, double *room)
{
    if (x->opset < 11) {
        float v = i == 1 ? md_node_attr_f(x->node, "min", -FLT_MAX)
                         : md_node_attr_f(x->node, "max", FLT_MAX);

        *out = (md_tensor){ .dtype = x->in[0]->dtype };
        out->data = room;
        md_tensor_set_f64(out, 0, (double)v);
    } else if (md_exec_has(x, i)) {
        *out = *x->in[i];
    } else {
        return false;
    }
    out->shape.rank = 0; /* it may be [1], behind a scalar too */
    return !isnan(md_tensor_get_f64(out, 0));
}

/* float64 between two limits of which the lower is not above the other. */
typedef struct job {
    const md_array_f64_kernel *kernel;
    const double *in;
    double *out;
    double lo, hi;
} job;

static void clip_f64(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;

    j->kernel->map(MD_MAP_F64_CLIP, j->out + from, j->in + from,
                   (size_t)(to - from), j->lo, j->hi);
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out, lo, hi;
    double room[2];
    md_link links[2];
    uint32_t n = 0;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    if (limit(&lo, x, 1, &room[0]))
        links[n++] = (md_link){ &low, &lo };
    if (limit(&hi, x, 2, &room[1]))
        links[n++] = (md_link){ &high, &hi };
    if (n == 0)
        md_move_all(out, x->in[0]);
    if (n == 2 && out->dtype == MD_DTYPE_F64) {
        job j = { .kernel = md_array_f64_select(x->cpu),
                  .in = x->in[0]->data,
                  .out = out->data,
                  .lo = md_tensor_get_f64(&lo, 0),
                  .hi = md_tensor_get_f64(&hi, 0) };

        if (j.lo <= j.hi) {
            md_exec__share(x, md_tensor_n(out), 0.3, clip_f64, &j);
            return MD_OK;
        }
    }
    return md_binary__chain(x, out, x->in[0], links, n, err);
}

/* The bound for x: input i, or before opset 11 the attribute; absent, none. */
static md_part bound(md_grad *g, uint32_t i, const char *name)
{
    const md_attr *a = md_node_attr(g->m.node, name);

    if (g->m.opset >= 11)
        return md_grad_in(g, i);
    return a ? md_grad_num(g, md_grad_in(g, 0), a->v.f) : MD_PART_NONE;
}

/* Where x is beyond a bound, dy is that bound's. */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    md_part lo = bound(g, 1, "min"), hi = bound(g, 2, "max");
    md_part zero = md_grad_num(g, x, 0), beyond;

    if (hi != MD_PART_NONE) {
        beyond = md_grad_2(g, "Greater", x, hi);
        md_grad_give_sum(g, 2, md_grad_where(g, beyond, dy, zero));
        dy = md_grad_where(g, beyond, zero, dy);
    }
    if (lo != MD_PART_NONE) {
        beyond = md_grad_2(g, "Less", x, lo);
        md_grad_give_sum(g, 1, md_grad_where(g, beyond, dy, zero));
        dy = md_grad_where(g, beyond, zero, dy);
    }
    md_grad_give(g, 0, dy);
}

const md_op md_op_clip = {
    .domain = "",
    .name = "Clip",
    .since = 1,
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .grad = grad,
};
