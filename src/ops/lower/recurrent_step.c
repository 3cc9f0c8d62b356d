/* The steps of LSTM, GRU and RNN over blocks of hidden units. */
#include <string.h>

#include "base/attr.h"
#include "ops/lower/recurrent.h"

/* --- functions --------------------------------------------------------- */

static md_gate_fn find_fn(const md_recurrent_act *a)
{
    static const struct {
        const char *name;
        md_gate_fn fn;
    } list[] = {
        { "Relu", { .act = MD_ACT_RELU } },
        { "Tanh", { .act = MD_ACT_TANH } },
        { "Sigmoid", { .act = MD_ACT_SIGMOID } },
        { "LeakyRelu", { .act = MD_ACT_LEAKY_RELU } },
        { "HardSigmoid", { .act = MD_ACT_HARD_SIGMOID } },
        { "Elu", { .kind = MD_GATE_UNARY, .op = MD_UNARY_ELU } },
        { "Softsign", { .kind = MD_GATE_UNARY, .op = MD_UNARY_SOFTSIGN } },
        { "Softplus", { .kind = MD_GATE_UNARY, .op = MD_UNARY_SOFTPLUS } },
        { "Affine", { .kind = MD_GATE_AFFINE } },
        { "ThresholdedRelu", { .kind = MD_GATE_THRESHOLD } },
        { "ScaledTanh", { .kind = MD_GATE_TANH } },
    };
    md_gate_fn fn = { 0 };

    for (size_t i = 0; i < MD_COUNT(list); i++) {
        if (strcmp(list[i].name, a->name) == 0)
            fn = list[i].fn;
    }
    fn.a = (float)a->alpha;
    fn.b = (float)a->beta;
    return fn;
}

void md_recurrent_fast__set_gates(md_recurrent_fast *s, const md_node *n, int d)
{
    md_recurrent_act acts[MD_RECURRENT_ACTS];

    md_recurrent__acts(acts, n, s->kind, d);
    for (int i = 0; i < s->kind->n_acts; i++)
        s->fn[d][i] = find_fn(&acts[i]);
}

static void apply(const md_recurrent_fast *s, const md_gate_fn *f, float *y,
                  const float *x, int64_t n)
{
    switch (f->kind) {
    case MD_GATE_ACT:
        s->unary->act(y, x, (size_t)n, f->act, f->a, f->b);
        break;
    case MD_GATE_UNARY:
        s->unary->run(y, x, (size_t)n, f->op, f->a, f->b);
        break;
    case MD_GATE_AFFINE:
        for (int64_t i = 0; i < n; i++)
            y[i] = f->a * x[i] + f->b;
        break;
    case MD_GATE_THRESHOLD:
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] < f->a ? 0.0f : x[i];
        break;
    case MD_GATE_TANH:
        for (int64_t i = 0; i < n; i++)
            y[i] = f->b * x[i];
        s->unary->act(y, y, (size_t)n, MD_ACT_TANH, 0, 0);
        for (int64_t i = 0; i < n; i++)
            y[i] *= f->a;
        break;
    }
}

/* Function i of a gate, in place, of what is clipped before. */
static void apply_gate(const md_recurrent_fast *s, int d, int i, float *x,
                       int64_t n)
{
    if (s->clip > 0)
        s->unary->act(x, x, (size_t)n, MD_ACT_CLIP, -s->clip, s->clip);
    apply(s, &s->fn[d][i], x, x, n);
}

/* --- steps ------------------------------------------------------------- */

/* c[rows][ldc] = a[rows][n_hidden] times n packed columns + residual + bias. */
static void multiply(const md_recurrent_fast *s, int64_t n_rows, const float *a,
                     const float *packed, float *c, int64_t ldc, int64_t n,
                     const float *residual, const float *bias)
{
    md_gemm_f32_args g = { .m = n_rows,
                           .n = n,
                           .k = s->n_hidden,
                           .a = a,
                           .lda = s->n_hidden,
                           .b = packed,
                           .ldc = ldc,
                           .ep = MD_EPILOGUE_INIT,
                           .strict = s->strict };

    g.c = c;
    g.ep.residual = residual;
    g.ep.bias = bias;
    s->gemm->run(&g, 0, g.m, 0, g.n);
}

/* Gates i, o, f, c of the n units of a block, from unit `at` on. */
static void lstm_row(const md_recurrent_fast *s, const float *peephole, int d,
                     float *g, int64_t n, const float *c, float *h_new,
                     float *c_new)
{
    const float *pi = peephole, *po = pi + s->n_hidden, *pf = po + s->n_hidden;
    float *in = g, *out = g + n, *forget = g + 2 * n, *cell = g + 3 * n;

    if (s->has_peephole) {
        for (int64_t j = 0; j < n; j++) {
            in[j] += pi[j] * c[j];
            forget[j] += pf[j] * c[j];
        }
        apply_gate(s, d, 0, in, n);
        apply_gate(s, d, 0, forget, n);
    } else {
        apply_gate(s, d, 0, g, 3 * n);
    }
    apply_gate(s, d, 1, cell, n);
    for (int64_t j = 0; j < n; j++)
        c_new[j] =
            (s->variant ? 1.0f - in[j] : forget[j]) * c[j] + in[j] * cell[j];
    if (s->has_peephole) {
        for (int64_t j = 0; j < n; j++)
            out[j] += po[j] * c_new[j];
        apply_gate(s, d, 0, out, n);
    }
    apply(s, &s->fn[d][2], h_new, c_new, n);
    for (int64_t j = 0; j < n; j++)
        h_new[j] *= out[j];
}

void md_recurrent_fast__lstm(const md_recurrent_fast *s, const float *w, int d,
                             const md_recurrent_rows *r, int stage, int64_t b0,
                             int64_t b1)
{
    const int64_t n = s->n_hidden, gates = 4 * n;

    (void)stage;
    if (s->quantized)
        md_codes__multiply(
            &s->r,
            &(md_codes_product){ .matrix = d,
                                 .m = r->n,
                                 .n0 = md_recurrent_fast__column(s, b0),
                                 .n1 = md_recurrent_fast__column(s, b1),
                                 .a = r->h,
                                 .lda = n,
                                 .c = r->g,
                                 .ldc = gates,
                                 .residual = r->g },
            r->product);
    for (int64_t b = b0; b < b1; b++) {
        const int64_t units = md_recurrent_fast__units(s, b);
        const int64_t at = b * s->n_units;
        float *g = r->g + md_recurrent_fast__column(s, b);

        if (!s->quantized)
            multiply(s, r->n, r->h, w + s->at.r + (size_t)b * s->at.r_step, g,
                     gates, 4 * units, g, NULL);
        for (int64_t i = 0; i < r->n; i++)
            lstm_row(s, w + s->at.peephole + at, d, g + i * gates, units,
                     r->c + i * n + at, r->h_new + i * n + at,
                     r->c_new + i * n + at);
    }
}

/* The product of the hidden gate with h or what was reset of it, and the new
 * state; it is in h_new on the way. */
static void gru_hidden(const md_recurrent_fast *s, const float *w, int d,
                       const md_recurrent_rows *r, int64_t b)
{
    const int64_t n = s->n_hidden, units = md_recurrent_fast__units(s, b);
    const int64_t at = b * s->n_units, column = md_recurrent_fast__column(s, b);

    multiply(s, r->n, s->variant ? r->h : r->reset,
             w + s->at.r_alone + (size_t)b * s->at.r_alone_step, r->h_new + at,
             n, units, NULL, s->variant ? w + s->at.bias_alone + at : NULL);
    for (int64_t i = 0; i < r->n; i++) {
        const float *z = r->g + i * 3 * n + column, *reset = z + units;
        const float *h = r->h + i * n + at;
        float *hidden = r->g + i * 3 * n + 2 * n + at;
        float *to = r->h_new + i * n + at;

        for (int64_t j = 0; j < units; j++)
            hidden[j] += s->variant ? reset[j] * to[j] : to[j];
        apply_gate(s, d, 1, hidden, units);
        for (int64_t j = 0; j < units; j++)
            to[j] = (1.0f - z[j]) * hidden[j] + z[j] * h[j];
    }
}

/* Gates z, r, h. */
void md_recurrent_fast__gru(const md_recurrent_fast *s, const float *w, int d,
                            const md_recurrent_rows *r, int stage, int64_t b0,
                            int64_t b1)
{
    const int64_t n = s->n_hidden;

    for (int64_t b = b0; stage == 0 && b < b1; b++) {
        const int64_t units = md_recurrent_fast__units(s, b);
        const int64_t at = b * s->n_units;
        float *g = r->g + md_recurrent_fast__column(s, b);

        multiply(s, r->n, r->h, w + s->at.r + (size_t)b * s->at.r_step, g,
                 3 * n, 2 * units, g, NULL);
        for (int64_t i = 0; i < r->n; i++) {
            float *z = g + i * 3 * n;
            const int64_t row = i * n + at;

            apply_gate(s, d, 0, z, 2 * units);
            for (int64_t j = 0; j < units && !s->variant; j++)
                r->reset[row + j] = z[units + j] * r->h[row + j];
        }
    }
    for (int64_t b = b0; stage == s->n_stages - 1 && b < b1; b++)
        gru_hidden(s, w, d, r, b);
}

void md_recurrent_fast__rnn(const md_recurrent_fast *s, const float *w, int d,
                            const md_recurrent_rows *r, int stage, int64_t b0,
                            int64_t b1)
{
    const int64_t n = s->n_hidden;

    (void)stage;
    for (int64_t b = b0; b < b1; b++) {
        const int64_t units = md_recurrent_fast__units(s, b);
        const int64_t at = b * s->n_units;

        multiply(s, r->n, r->h, w + s->at.r + (size_t)b * s->at.r_step,
                 r->h_new + at, n, units, r->g + at, NULL);
        for (int64_t i = 0; i < r->n; i++)
            apply_gate(s, d, 0, r->h_new + i * n + at, units);
    }
}
