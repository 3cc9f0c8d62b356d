/*
 * QLinearConv over conv_s8 and, for one filter per channel, dwconv_s8: NC16
 * in, NC16 out; a first layer of at most 4 channels reads its input row-major.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/conv_s8.h"
#include "kernels/dwconv_s8.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_gemm_s8_kernel *kernel;
    const md_dwconv_s8_kernel *depthwise; /* NULL: kernel */
    const md_requant_s8_kernel *requant;
    int64_t oc, ic, kh, kw;
    int x_block;
    int residual; /* index of the input, -1: none */
    bool x_signed;
    int32_t x_zero;
    void *packed;
    int32_t *start;
    float *mult;
    md_requant rq;
} state;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->packed);
    md_free(alloc, s->start);
    md_free(alloc, s->mult);
}

static bool is_depthwise(const md_lower *lo)
{
    int64_t group = md_node_attr_i(lo->node, "group", 1);
    const md_shape *w = &lo->cin[3]->shape;

    return group > 1 && w->dim[0] == group && w->dim[1] == 1;
}

static md_status check(const md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 3, MD_DTYPE_I8);
    const md_tensor *wz = md_lower__const(lo, 5, MD_DTYPE_I8);
    static const uint32_t constants[] = { 1, 2, 4, 5, 6, 7 };

    if ((!md_lower__is(lo, 0, MD_DTYPE_U8, 4) &&
         !md_lower__is(lo, 0, MD_DTYPE_I8, 4)) ||
        !w || w->shape.rank != 4)
        return md_fail(err, MD_UNSUPPORTED,
                       "needs 2-D and constant int8 weights");
    for (size_t i = 0; i < MD_COUNT(constants); i++) {
        if (!lo->cin[constants[i]])
            return md_fail(err, MD_UNSUPPORTED, "scales are no constants");
    }
    if (md_tensor_n(lo->cin[1]) != 1 || md_tensor_n(lo->cin[2]) != 1 ||
        md_tensor_n(lo->cin[6]) != 1)
        return md_fail(err, MD_UNSUPPORTED,
                       "activations have more than one scale");
    if (md_tensor_n(lo->cin[4]) != 1 &&
        md_tensor_n(lo->cin[4]) != w->shape.dim[0])
        return md_fail(err, MD_UNSUPPORTED,
                       "weight scales are not one per channel");
    if (lo->node->n_in > 8 && lo->in[8] &&
        !md_lower__const(lo, 8, MD_DTYPE_I32))
        return md_fail(err, MD_UNSUPPORTED, "the bias is no int32 constant");
    if (md_node_attr_i(lo->node, "group", 1) != 1 && !is_depthwise(lo))
        return md_fail(err, MD_UNSUPPORTED, "groups");
    for (int64_t i = 0; wz && i < md_tensor_n(wz); i++) {
        if (((const int8_t *)wz->data)[i] != 0)
            return md_fail(err, MD_UNSUPPORTED, "weights have a zero point");
    }
    return MD_OK;
}

/* Packing, shared by blocks of output channels. */
typedef struct pack_job {
    const state *s;
    const md_conv_shape *shape;
    const int8_t *w;
    const int32_t *bias;
} pack_job;

static void pack_block(void *ctx, int64_t b, int worker)
{
    const pack_job *j = ctx;
    const state *s = j->s;
    const int64_t k = md_conv_s8_packed_k(s->kernel, j->shape, s->x_block);
    const int64_t first = b * MD_BLOCK;

    (void)worker;
    md_conv_s8_pack(s->packed, s->kernel, j->w, j->shape, s->x_block, b, b + 1);
    md_gemm_s8_start(s->start + first, (int8_t *)s->packed + first * k,
                     md_min_i64(MD_BLOCK, s->oc - first), k,
                     j->bias ? j->bias + first : NULL, s->x_zero, s->x_signed);
}

static md_status pack(state *s, const md_lower *lo, md_error *err)
{
    const md_conv_shape shape = {
        .n = 1,
        .ic = s->ic,
        .oc = s->oc,
        .kh = s->kh,
        .kw = s->kw,
        .dilation_w = md_lower__ints_at(lo->node, "dilations", 1, 1),
        .stride_w = md_lower__ints_at(lo->node, "strides", 1, 1),
    };
    const md_tensor *bias = md_lower__const(lo, 8, MD_DTYPE_I32);
    size_t size = s->depthwise
                      ? md_dwconv_s8_packed_size(&shape)
                      : md_conv_s8_packed_size(s->kernel, &shape, s->x_block);
    size_t channels = (size_t)md_div_up(s->oc, MD_BLOCK) * MD_BLOCK;
    pack_job j = { s, &shape, lo->cin[3]->data, bias ? bias->data : NULL };

    bool ready;

    MD_TRY(md_lower__pack(lo, (void *)&s->packed, size, &ready, err));
    MD_TRY(md_lower__pack(lo, (void *)&s->start, channels * sizeof(int32_t),
                          &ready, err));
    if (ready)
        return MD_OK;
    if (s->depthwise)
        md_dwconv_s8_pack(s->packed, s->start, j.w, j.bias, s->x_zero,
                          s->x_signed, &shape);
    else
        md_pool_run(lo->pool, MD_POOL_WIDTH_MAX, md_div_up(s->oc, MD_BLOCK),
                    pack_block, &j);
    return MD_OK;
}

static md_status set_requant(state *s, const md_lower *lo, md_error *err)
{
    const md_tensor *ws = lo->cin[4];
    float xs = md_lower__scalar_f(lo, 1, 1.0f);
    float ys = md_lower__scalar_f(lo, 6, 1.0f);

    s->mult = md_lower__padded(lo, NULL, s->oc);
    if (!s->mult)
        return md_fail_nomem(err, (unsigned long long)s->oc * sizeof(float));
    for (int64_t j = 0; j < s->oc; j++)
        s->mult[j] =
            xs * ((const float *)ws->data)[md_tensor_n(ws) == 1 ? 0 : j] / ys;
    s->rq.mult = s->mult;
    s->rq.out = MD_QOUT_Q8;
    s->rq.zero = md_lower__scalar_i(lo, 7, 0);
    md_fused_clamp(lo->fused, ys, s->rq.zero, lo->out[0]->dtype, &s->rq.q_min,
                   &s->rq.q_max);
    return MD_OK;
}

/* The sums become codes as set_requant says, less their zero point; the result
 * has other limits. */
static void set_residual(md_requant *rq, const md_code_add *c, md_dtype dtype)
{
    rq->own_min = rq->q_min - c->own_zero;
    rq->own_max = rq->q_max - c->own_zero;
    rq->own_mult = c->own_mult;
    rq->res_mult = c->res_mult;
    rq->res_zero = c->res_zero;
    rq->res_signed = dtype == MD_DTYPE_I8;
    rq->zero = c->zero;
    rq->q_min = c->q_min;
    rq->q_max = c->q_max;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 3, MD_DTYPE_I8);
    md_status st;
    state *s;

    MD_TRY(check(lo, err));
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->oc = w->shape.dim[0];
    s->ic = is_depthwise(lo) ? s->oc : w->shape.dim[1];
    s->kh = w->shape.dim[2];
    s->kw = w->shape.dim[3];
    s->x_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    s->x_zero = md_lower__scalar_i(lo, 2, 0);
    s->requant = md_requant_s8_select(lo->cpu);
    s->x_block = MD_BLOCK;
    if (is_depthwise(lo)) {
        s->depthwise = md_dwconv_s8_select(lo->cpu);
        lo->kernel = s->depthwise->name;
    } else {
        s->kernel = md_gemm_s8_select(lo->cpu);
        lo->kernel = s->kernel->name;
        if (s->ic <= 4 && lo->have[0] == MD_LAYOUT_ROW)
            s->x_block = 4;
    }
    lo->want[0] = s->x_block == 4 ? MD_LAYOUT_ROW : MD_LAYOUT_NC16;
    lo->give[0] = MD_LAYOUT_NC16;
    s->residual = md_lower__residual_input(lo->node);
    if (s->residual >= 0)
        lo->want[s->residual] = MD_LAYOUT_NC16;
    st = pack(s, lo, err);
    if (st == MD_OK)
        st = set_requant(s, lo, err);
    if (st == MD_OK && s->residual >= 0)
        set_residual(&s->rq, lo->fused->codes, lo->out[0]->dtype);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[3] = st == MD_OK;
    return st;
}

static md_status plan_depthwise(md_step *st, const md_conv_shape *shape,
                                md_arena *arena, md_error *err)
{
    const state *s = st->state;
    md_dwconv_s8_args *c;

    MD_TRY(md_step__args(st, arena, (void *)&c, sizeof(*c), err));
    *c = (md_dwconv_s8_args){ .kernel = s->depthwise,
                              .requant = s->requant,
                              .shape = *shape,
                              .x_signed = s->x_signed,
                              .x_zero = s->x_zero,
                              .w = s->packed,
                              .start = s->start,
                              .rq = s->rq };
    st->n_chunks = md_dwconv_s8_n_chunks(c);
    st->scratch_size = md_dwconv_s8_scratch_size(c);
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    const md_conv_shape shape =
        md_lower__window(st->node, x, &st->out_shape[0], s->kh, s->kw);
    md_conv_s8_args *c;

    (void)width;
    if (s->depthwise)
        return plan_depthwise(st, &shape, arena, err);
    MD_TRY(md_step__args(st, arena, (void *)&c, sizeof(*c), err));
    *c = (md_conv_s8_args){ .kernel = s->kernel,
                            .requant = s->requant,
                            .shape = shape,
                            .x_signed = s->x_signed,
                            .x_zero = s->x_zero,
                            .x_block = s->x_block,
                            .x_stride = { x->dim[1] * x->dim[2] * x->dim[3],
                                          x->dim[2] * x->dim[3], x->dim[3], 1 },
                            .w = s->packed,
                            .start = s->start,
                            .rq = s->rq };
    st->n_chunks = md_conv_s8_n_chunks(c);
    st->scratch_size = md_conv_s8_scratch_size(c);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;

    if (s->depthwise) {
        md_dwconv_s8_args c = *(const md_dwconv_s8_args *)st->args;

        c.x = st->in[0];
        c.y = st->out[0];
        c.res = s->residual < 0 ? NULL : st->in[s->residual];
        md_dwconv_s8_run(&c, chunk, scratch);
    } else {
        md_conv_s8_args c = *(const md_conv_s8_args *)st->args;

        c.x = st->in[0];
        c.y = st->out[0];
        c.res = s->residual < 0 ? NULL : st->in[s->residual];
        md_conv_s8_run(&c, chunk, scratch);
    }
}

const md_fast md_fast_qlinear_conv = { lower, plan, run, release,
                                       md_lower__residual_input };
