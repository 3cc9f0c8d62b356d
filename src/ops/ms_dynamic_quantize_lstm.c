/*
 * com.microsoft's DynamicQuantizeLSTM: LSTM whose weights are 8-bit codes,
 * [directions, n, 4 * hidden], with one scale and zero point for a direction
 * or one for a column.  The input and each hidden state, before they meet the
 * weights, are rounded to the 256 codes that span them.  The hidden states of
 * a batch are rounded each by itself, so that neither the others nor the
 * threads change a result; onnxruntime takes those together that one of its
 * threads computes.
 */
#include "ops/common/quantize.h"
#include "ops/common/recurrent.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_X,
    IN_W,
    IN_R,
    IN_W_SCALE = 8, /* IN_W_SCALE + 1: zero point */
    IN_R_SCALE = 10,
    N_LSTM = 8 /* inputs that LSTM has too */
};

/* What n values become by DynamicQuantizeLinear and back. */
static void round_to_codes(float *v, int64_t n)
{
    float scale;
    uint8_t zero;

    md_quantize__range(&scale, &zero, v, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(md_quantize__round(v[i] / scale, zero, 0, 255) - zero) *
               scale;
}

static void step(const md_recurrent_cell *s)
{
    float *codes = (float *)s->scratch; /* fits: floats where doubles do */

    for (int64_t i = 0; i < s->n_hidden; i++)
        codes[i] = (float)s->h[i];
    round_to_codes(codes, s->n_hidden);
    for (int64_t i = s->n_hidden; i-- > 0;)
        s->scratch[i] = codes[i];
    md_recurrent__lstm(s, s->scratch);
}

static const md_recurrent recurrent = {
    .n_gates = 4,
    .n_acts = 3,
    .acts = { "Sigmoid", "Tanh", "Tanh" },
    .variant = "input_forget",
    .step = step,
};

/* One scale and zero point for a direction, or one for a column. */
static md_status check_scale(const md_infer *c, uint32_t scale, uint32_t like,
                             md_error *err)
{
    const md_type *w = c->in[like];

    MD_TRY(md_infer__need(c, scale, MD_T(F32), err));
    MD_TRY(md_infer__need(c, scale + 1, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, like, scale + 1, err));
    for (uint32_t i = scale; i <= scale + 1; i++) {
        MD_TRY(md_infer__rank(c, i, 1, 2, err));
        for (int d = 0; c->in[i]->has_rank && w->has_rank && d < c->in[i]->rank;
             d++)
            MD_TRY(md_infer__must_equal(c, c->in[i]->dim[d], w->dim[d ? 2 : 0],
                                        "a dimension of a scale or zero point",
                                        err));
    }
    return MD_OK;
}

/* LSTM's view of weights: floats, the last two axes turned. */
static md_type turned(const md_type *t)
{
    md_type r = *t;

    r.dtype = MD_DTYPE_F32;
    if (t->has_rank) {
        r.dim[1] = t->dim[2];
        r.dim[2] = t->dim[1];
    }
    return r;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in[N_LSTM];
    md_node node = *c->node;
    md_infer lstm = *c;
    md_type w, r;

    for (uint32_t i = IN_W; i <= IN_R; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_Q8, err));
        MD_TRY(md_infer__rank(c, i, 3, 3, err));
    }
    MD_TRY(md_infer__need(c, IN_X, MD_T(F32), err));
    MD_TRY(check_scale(c, IN_W_SCALE, IN_W, err));
    MD_TRY(check_scale(c, IN_R_SCALE, IN_R, err));
    w = turned(c->in[IN_W]);
    r = turned(c->in[IN_R]);
    for (uint32_t i = 0; i < N_LSTM; i++)
        in[i] = c->in[i];
    in[IN_W] = &w;
    in[IN_R] = &r;
    node.n_in = N_LSTM;
    lstm.node = &node;
    lstm.in = in;
    return md_recurrent__infer(&lstm, &recurrent, err);
}

/* The weights as LSTM has them. */
static md_status decode(md_tensor *out, const md_exec *x, uint32_t i,
                        uint32_t scale, md_arena *ar, md_error *err)
{
    const md_tensor *w = x->in[i], *s = x->in[scale], *z = x->in[scale + 1];
    const int64_t *d = w->shape.dim;
    float *v;

    *out = (md_tensor){ .dtype = MD_DTYPE_F32,
                        .shape = { 3, { d[0], d[2], d[1] } } };
    MD_TRY(md_exec__scratch(&v, ar, md_tensor_n(w), sizeof(*v), err));
    out->data = v;
    for (int64_t at = 0; at < md_tensor_n(w); at++) {
        int64_t column = at % d[2], row = at / d[2] % d[1],
                dir = at / d[2] / d[1];
        int64_t code = md_tensor_get_i64(w, at);

        code -= md_tensor_get_i64(z, z->shape.rank == 1 ? dir
                                                        : dir * d[2] + column);
        v[(dir * d[2] + column) * d[1] + row] =
            (float)code *
            (float)md_tensor_get_f64(
                s, s->shape.rank == 1 ? dir : dir * d[2] + column);
    }
    return MD_OK;
}

static md_status infer_lstm(const md_infer *c, md_error *err)
{
    return md_recurrent__infer(c, &recurrent, err);
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in[N_LSTM];
    md_tensor data = *x->in[IN_X], w, r;
    md_node node = *x->node;
    md_exec lstm = *x;
    float *v;

    (void)c;
    MD_TRY(md_exec__scratch(&v, ar, md_tensor_n(&data), sizeof(*v), err));
    md_load_f32(v, x->in[IN_X], 0, md_tensor_n(&data));
    if (md_tensor_n(&data) > 0)
        round_to_codes(v, md_tensor_n(&data));
    data.data = v;
    MD_TRY(decode(&w, x, IN_W, IN_W_SCALE, ar, err));
    MD_TRY(decode(&r, x, IN_R, IN_R_SCALE, ar, err));
    for (uint32_t i = 0; i < N_LSTM; i++)
        in[i] = x->in[i];
    in[IN_X] = &data;
    in[IN_W] = &w;
    in[IN_R] = &r;
    node.n_in = N_LSTM;
    lstm.node = &node;
    lstm.in = in;
    return md_recurrent__run(&lstm, &recurrent, infer_lstm, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_ms_dynamic_quantize_lstm = {
    .domain = "com.microsoft",
    .name = "DynamicQuantizeLSTM",
    .since = 1,
    .in_min = 3,
    .in_max = 12,
    .out_min = 0,
    .out_max = 3,
    .infer = infer,
    .run = run,
    .fast = &md_fast_recurrent,
};
