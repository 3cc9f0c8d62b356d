/* com.microsoft's QLinearAveragePool, with channels first or last. */
#include "ops/common/pool.h"
#include "ops/common/quantize.h"

static bool is_last(const md_node *n)
{
    return md_node_attr_i(n, "channels_last", 0) != 0;
}

/* Windows are those of a picture with channels first. */
static md_status infer(const md_infer *c, md_error *err)
{
    md_type first, pooled = { 0 }, t;
    md_infer turned = *c;
    int rank;

    MD_TRY(md_qlinear__check_unary(c, err));
    if (!is_last(c->node) || !c->in[0]->has_rank || c->in[0]->rank < 3)
        return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_NONE, err);
    first = *c->in[0];
    rank = first.rank;
    for (int d = 1; d < rank; d++)
        first.dim[d] = c->in[0]->dim[d == 1 ? rank - 1 : d - 1];
    turned.in = (const md_type *const[]){ &first };
    turned.out = &pooled;
    MD_TRY(md_pool__infer(&turned, first.dtype, MD_DTYPE_NONE, err));
    t = pooled;
    for (int d = 1; d < rank; d++)
        t.dim[d] = pooled.dim[d == rank - 1 ? 1 : d + 1];
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct target {
    md_tensor *out;
    int64_t channels; /* 0: they come first */
    int64_t size;     /* of a plane */
    float scale, out_scale;
    int64_t out_zero;
} target;

/* Padding that counts is real zero, so its mean is that of x - zero. */
static void emit(void *ctx, int64_t i, double mean)
{
    const target *t = ctx;

    if (t->channels) {
        int64_t plane = i / t->size, n = plane / t->channels;

        i = (n * t->size + i % t->size) * t->channels + plane % t->channels;
    }
    md_quantize__set(t->out, i, t->scale * (float)mean, t->out_scale,
                     t->out_zero, true);
}

/* v with channels first. */
static md_status turn(int32_t **v, const md_shape *s, md_arena *ar,
                      md_error *err)
{
    int64_t channels = s->dim[s->rank - 1], n = md_shape_n(s);
    int64_t size = md_shape_span(s, 1, s->rank - 1);
    int32_t *to;

    MD_TRY(md_exec__scratch(&to, ar, n, sizeof(*to), err));
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i % channels, at = i / channels;

        to[(at / size * channels + c) * size + at % size] = (*v)[i];
    }
    *v = to;
    return MD_OK;
}

static md_shape channels_first(const md_shape *s)
{
    md_shape t = *s;

    for (int d = 1; d < s->rank; d++)
        t.dim[d] = s->dim[d == 1 ? s->rank - 1 : d - 1];
    return t;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool count_pad = md_node_attr_i(x->node, "count_include_pad", 0) != 0;
    target t = { .out = out,
                 .scale = (float)md_exec__scalar(x, 1, 1.0),
                 .out_scale = (float)md_exec__scalar(x, 3, 1.0),
                 .out_zero = (int64_t)md_exec__scalar(x, 4, 0.0) };
    md_shape in = x->in[0]->shape, to = out->shape;
    md_tensor centred = { .dtype = MD_DTYPE_I32 };
    int32_t *v;
    md_pool_plan p;

    MD_TRY(md_quantize__centre(
        &v, x->in[0], md_exec_has(x, 2) ? x->in[2] : NULL, 1, ar, err));
    if (is_last(x->node)) {
        t.channels = in.dim[in.rank - 1];
        MD_TRY(turn(&v, &in, ar, err));
        in = channels_first(&in);
        to = channels_first(&to);
    }
    MD_TRY(md_pool__plan(&p, x->node, &in, &to, err));
    t.size = p.out_size;
    centred.shape = in;
    centred.data = v;
    md_pool__average(&p, &centred, count_pad, emit, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_average_pool = {
    .domain = "com.microsoft",
    .name = "QLinearAveragePool",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
