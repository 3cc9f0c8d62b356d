/*
 * com.microsoft's VarlenCausalConvWithState: each channel of requests behind
 * each other, [tokens,channels], convolved with what was before it.  Of
 * request b token t and tap k of n meet at t - (n - 1 - k) * dilation; before
 * its first token are the (n - 1) * dilation numbers of its state, the last
 * ones of which are the state for the next call.
 */
#include "ops/common/causal.h"
#include "ops/common/varlen.h"

enum { /* inputs */
    IN_X,
    IN_W,
    IN_BOUNDS,
    IN_BIAS,
    IN_STATE,
    IN_CAPTURE,
    IN_DELTA,
    IN_MASK
};

enum { /* outputs */
    OUT_Y,
    OUT_STATE,
    OUT_UPDATE,
    OUT_N
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status check_types(const md_infer *c, md_error *err)
{
    static const uint32_t floats[] = { IN_W, IN_BIAS, IN_STATE };

    if (md_infer_has(c, IN_DELTA) || md_infer_has(c, IN_MASK) ||
        md_node_attr_i(c->node, "group_size", 1) != 1 ||
        md_node_attr_i(c->node, "delta_offset", 0) != 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "kernel_delta, which onnxruntime has on GPUs only");
    MD_TRY(md_infer__need(c, IN_X, TYPES, err));
    MD_TRY(md_infer__need(c, IN_W, TYPES, err));
    MD_TRY(md_infer__need(c, IN_STATE, TYPES, err));
    MD_TRY(md_infer__may(c, IN_BIAS, TYPES, err));
    for (size_t i = 0; i < MD_COUNT(floats); i++)
        MD_TRY(md_infer__same_dtype(c, IN_X, floats[i], err));
    MD_TRY(md_infer__rank(c, IN_X, 2, 2, err));
    MD_TRY(md_infer__rank(c, IN_W, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_BIAS, 1, 1, err));
    return md_infer__rank(c, IN_STATE, 3, 3, err);
}

/* The weight is [channels, 1, taps]; state: [batch, channels, ...]. */
static md_status check_weight(const md_infer *c, const md_type *w,
                              md_type *state, md_error *err)
{
    int64_t dilation;

    MD_TRY(md_causal__dilation(c->node, &dilation, err));
    if (!w->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, w->dim[0], state->dim[1],
                                "axis 0 of the weight", err));
    MD_TRY(md_infer__must_equal(c, w->dim[1], MD_DIM(1), "axis 1 of the weight",
                                err));
    if (md_dim_is_const(w->dim[2]) && w->dim[2].k < 1)
        return md_fail(err, MD_INVALID, "the weight has no taps");
    return md_dim__affine(&state->dim[2], w->dim[2], dilation, -dilation, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X], *given = c->in[IN_STATE];
    md_type state, update;
    int64_t capacity;
    bool silu;

    MD_TRY(md_causal__activation(c->node, &silu, err));
    MD_TRY(check_types(c, err));
    MD_TRY(md_infer__fresh_type(c, &state, x->dtype, 3, err));
    MD_TRY(md_varlen__infer(c, IN_BOUNDS, &state.dim[0], err));
    if (x->has_rank)
        state.dim[1] = x->dim[1];
    MD_TRY(check_weight(c, c->in[IN_W], &state, err));
    for (int d = 0; given->has_rank && d < 3; d++)
        MD_TRY(md_infer__must_equal(c, given->dim[d], state.dim[d],
                                    "an axis of initial_state", err));
    if (md_infer_has(c, IN_BIAS))
        MD_TRY(md_infer__length(c, c->in[IN_BIAS], state.dim[1], "bias", err));
    MD_TRY(md_varlen__capture(c, IN_CAPTURE, state.dim[0], &capacity, err));
    update = state;
    update.dim[1] = MD_DIM(capacity);
    update.dim[2] = state.dim[1];
    md_infer__give(c, OUT_Y, x);
    md_infer__give(c, OUT_STATE, &state);
    md_infer__give(c, OUT_UPDATE, &update);
    return MD_OK;
}

typedef struct job {
    const float *x;     /* [tokens, channels] */
    const float *w;     /* [channels, taps] */
    const float *bias;  /* NULL: 0 */
    const float *state; /* [batch, channels, keep] */
    float *y;
    const int64_t *bounds;
    int64_t channels, taps, dilation, keep;
    bool silu;
} job;

/* n numbers of request b at its place p, of channels from c on. */
static void load(float *out, const job *j, int64_t b, int64_t p, int64_t c,
                 int64_t n)
{
    const float *x = j->x + (j->bounds[b] + p) * j->channels + c;
    const float *s = j->state + (b * j->channels + c) * j->keep + j->keep + p;

    for (int64_t i = 0; i < n; i++)
        out[i] = p >= 0 ? x[i] : s[i * j->keep];
}

/* n channels from c on of token t of request b. */
static void convolve(const job *j, int64_t b, int64_t t, int64_t c, int64_t n)
{
    float *y = j->y + (j->bounds[b] + t) * j->channels + c, x[MD_CHUNK];
    double sum[MD_CHUNK];

    for (int64_t i = 0; i < n; i++)
        sum[i] = j->bias ? (double)j->bias[c + i] : 0.0;
    for (int64_t k = 0; k < j->taps; k++) {
        load(x, j, b, t - (j->taps - 1 - k) * j->dilation, c, n);
        for (int64_t i = 0; i < n; i++)
            sum[i] += (double)j->w[(c + i) * j->taps + k] * (double)x[i];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(j->silu ? md_causal__silu(sum[i]) : sum[i]);
}

static void run_tokens(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    int64_t b = 0;

    for (int64_t t = from; t < to; t++) {
        while (t >= j->bounds[b + 1])
            b++;
        for (int64_t c = 0; c < j->channels; c += MD_CHUNK)
            convolve(j, b, t - j->bounds[b], c,
                     md_min_i64(j->channels - c, MD_CHUNK));
    }
}

/* The last numbers of request b. */
static void give_state(md_tensor *out, const job *j, int64_t b)
{
    int64_t n = j->bounds[b + 1] - j->bounds[b];
    float v;

    for (int64_t c = 0; c < j->channels; c++) {
        for (int64_t i = 0; i < j->keep; i++) {
            load(&v, j, b, n - j->keep + i, c, 1);
            md_store_f32(out, (b * j->channels + c) * j->keep + i, &v, 1);
        }
    }
}

/* The first tokens of request b, as many as are asked for. */
static void give_update(md_tensor *out, const md_exec *x, const job *j,
                        int64_t b)
{
    int64_t slots = out->shape.dim[1], from = j->bounds[b];
    int64_t n =
        md_varlen__captured(x, IN_CAPTURE, slots, b, j->bounds[b + 1] - from);

    md_store_f32(out, b * slots * j->channels, j->x + from * j->channels,
                 n * j->channels);
}

static md_status prepare(job *j, const md_exec *x, md_arena *ar, md_error *err)
{
    const md_shape *s = &x->in[IN_X]->shape;

    *j = (job){ .channels = s->dim[1],
                .taps = x->in[IN_W]->shape.dim[2],
                .keep = x->in[IN_STATE]->shape.dim[2] };
    MD_TRY(md_causal__activation(x->node, &j->silu, err));
    MD_TRY(md_causal__dilation(x->node, &j->dilation, err));
    MD_TRY(md_varlen__load(&j->bounds, x, IN_BOUNDS, s->dim[0], 0, ar, err));
    MD_TRY(md_exec__as_f32(&j->x, x->in[IN_X], ar, err));
    MD_TRY(md_exec__as_f32(&j->w, x->in[IN_W], ar, err));
    MD_TRY(md_exec__as_f32(&j->state, x->in[IN_STATE], ar, err));
    if (md_exec_has(x, IN_BIAS))
        MD_TRY(md_exec__as_f32(&j->bias, x->in[IN_BIAS], ar, err));
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    int64_t batch = md_tensor_n(x->in[IN_BOUNDS]) - 1;
    job j;

    MD_TRY(prepare(&j, x, ar, err));
    if (out[OUT_Y]) {
        MD_TRY(md_exec__f32_of(&j.y, out[OUT_Y], ar, err));
        md_exec__share(x, x->in[IN_X]->shape.dim[0],
                       (double)j.channels * (double)j.taps, run_tokens, &j);
        md_exec__from_f32(out[OUT_Y], j.y);
    }
    if (out[OUT_UPDATE])
        md_exec__zero(out[OUT_UPDATE]);
    for (int64_t b = 0; b < batch; b++) {
        if (out[OUT_STATE])
            give_state(out[OUT_STATE], &j, b);
        if (out[OUT_UPDATE])
            give_update(out[OUT_UPDATE], x, &j, b);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_varlen_causal_conv_with_state = {
    .domain = "com.microsoft",
    .name = "VarlenCausalConvWithState",
    .since = 1,
    .in_min = 5,
    .in_max = 8,
    .out_min = 1,
    .out_max = OUT_N,
    .may_lack = 1u << IN_BIAS,
    .infer = infer,
    .run = run,
};
