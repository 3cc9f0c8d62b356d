/* Gates i (input), o (output), f (forget) and c (cell), in this order;
 * peepholes i, o, f. */
#include "ops/common/recurrent.h"
#include "ops/lower.h"

static void step(const md_recurrent_cell *s)
{
    int64_t n = s->n_hidden;
    double *in = s->x, *out = s->x + n, *forget = s->x + 2 * n;
    double *cell = s->x + 3 * n;
    const double *pi = s->peephole, *po = pi + n, *pf = po + n;

    for (int64_t i = 0; i < 4 * n; i++)
        s->x[i] += md_recurrent__dot(s, i, s->h);
    for (int64_t i = 0; i < n; i++) {
        double vi = md_recurrent__act(s, 0, in[i] + pi[i] * s->c[i]);
        double vf = 1.0 - vi; /* with input_forget */

        if (!s->variant)
            vf = md_recurrent__act(s, 0, forget[i] + pf[i] * s->c[i]);
        s->c[i] = vf * s->c[i] + vi * md_recurrent__act(s, 1, cell[i]);
        s->h[i] = md_recurrent__act(s, 0, out[i] + po[i] * s->c[i]) *
                  s->act[2].f(s->c[i], s->act[2].alpha, s->act[2].beta);
    }
}

const md_recurrent md_recurrent_lstm = {
    .n_gates = 4,
    .n_acts = 3,
    .acts = { "Sigmoid", "Tanh", "Tanh" },
    .variant = "input_forget",
    .step = step,
};

MD_RECURRENT_FUNCTIONS(md_recurrent_lstm)

const md_op md_op_lstm = {
    .domain = "",
    .name = "LSTM",
    .since = 1,
    .in_min = 3,
    .in_max = 8,
    .out_min = 1,
    .out_max = 3,
    .infer = infer,
    .run = run,
    .flags = MD_OP_WEIGHTS,
    .fast = &md_fast_recurrent,
};
