/* Each channel convolved along its length with the past in front; the last
 * places are the state for the next call.  Attribute dilation, which the
 * standard has not, is com.microsoft's. */
#include "ops/common/causal.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

enum { /* inputs */
    IN_X,
    IN_W,
    IN_BIAS,
    IN_PAST
};

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_X, TYPES, err));
    MD_TRY(md_infer__need(c, IN_W, TYPES, err));
    MD_TRY(md_infer__rank(c, IN_X, 3, 3, err));
    for (uint32_t i = IN_W; i <= IN_PAST; i++) {
        MD_TRY(md_infer__may(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, IN_X, i, err));
        if (i != IN_BIAS)
            MD_TRY(md_infer__rank(c, i, 3, 3, err));
    }
    return MD_OK;
}

/* The weight is [channels, 1, taps]; the state has a place less, at dilation
 * 1. */
static md_status check_weight(const md_node *n, const md_type *w,
                              md_type *state, md_error *err)
{
    int64_t dilation;

    MD_TRY(md_causal__dilation(n, &dilation, err));
    MD_TRY(md_infer__same_dim(w->dim[0], state->dim[1], "axis 0 of the weight",
                              err));
    MD_TRY(
        md_infer__same_dim(w->dim[1], MD_DIM(1), "axis 1 of the weight", err));
    if (md_dim_is_const(w->dim[2]) && w->dim[2].k < 1)
        return md_fail(err, MD_INVALID, "the weight has no taps");
    return md_dim__affine(&state->dim[2], w->dim[2], dilation, -dilation, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X];
    md_type state = { 0 };
    bool silu;

    MD_TRY(md_causal__activation(c->node, &silu, err));
    MD_TRY(check_types(c, err));
    MD_TRY(md_infer__fresh_type(c, &state, x->dtype, 3, err));
    if (x->has_rank) {
        state.dim[0] = x->dim[0];
        state.dim[1] = x->dim[1];
        if (md_infer_has(c, IN_BIAS))
            MD_TRY(md_infer__length(c, c->in[IN_BIAS], x->dim[1], "bias", err));
    }
    if (c->in[IN_W]->has_rank)
        MD_TRY(check_weight(c->node, c->in[IN_W], &state, err));
    for (int d = 0; d < 3 && md_infer_has(c, IN_PAST); d++) {
        if (c->in[IN_PAST]->has_rank)
            MD_TRY(md_infer__must_equal(c, c->in[IN_PAST]->dim[d], state.dim[d],
                                        "a dimension of the past", err));
    }
    md_infer__give(c, 0, x);
    md_infer__give(c, 1, &state);
    return MD_OK;
}

typedef struct job {
    int64_t n, taps, dilation;
    double *all; /* the past and a row of the input of n places */
    double *w;   /* its taps */
    double bias;
    bool silu;
} job;

static void convolve(double *y, const job *j)
{
    for (int64_t i = 0; i < j->n; i++) {
        double sum = j->bias;

        for (int64_t k = 0; k < j->taps; k++)
            sum += j->w[k] * j->all[i + k * j->dilation];
        y[i] = j->silu ? md_causal__silu(sum) : sum;
    }
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[IN_X]->shape;
    job j = { .n = s->dim[2], .taps = x->in[IN_W]->shape.dim[2] };
    int64_t keep;
    double *y;

    MD_TRY(md_causal__activation(x->node, &j.silu, err));
    MD_TRY(md_causal__dilation(x->node, &j.dilation, err));
    keep = (j.taps - 1) * j.dilation; /* the size of the state */
    MD_TRY(md_exec__scratch(&j.all, ar, keep + j.n, sizeof(*j.all), err));
    MD_TRY(md_exec__scratch(&j.w, ar, j.taps, sizeof(*j.w), err));
    MD_TRY(md_exec__scratch(&y, ar, j.n, sizeof(*y), err));
    for (int64_t row = 0; row < s->dim[0] * s->dim[1]; row++) {
        int64_t c = row % s->dim[1];

        if (md_exec_has(x, IN_PAST))
            md_load_f64(j.all, x->in[IN_PAST], row * keep, keep);
        md_load_f64(j.all + keep, x->in[IN_X], row * j.n, j.n);
        md_load_f64(j.w, x->in[IN_W], c * j.taps, j.taps);
        if (md_exec_has(x, IN_BIAS))
            md_load_f64(&j.bias, x->in[IN_BIAS], c, 1);
        convolve(y, &j);
        if (out[0])
            md_store_f64(out[0], row * j.n, y, j.n);
        if (out[1])
            md_store_f64(out[1], row * keep, j.all + j.n, keep);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, 2, compute, err);
}

const md_op md_op_causal_conv_with_state = {
    .domain = "",
    .name = "CausalConvWithState",
    .since = 27,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
