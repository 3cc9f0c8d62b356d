/* h = f(W x + R h). */
#include "ops/common/recurrent.h"
#include "ops/lower.h"

static void step(const md_recurrent_cell *s)
{
    md_recurrent__multiply(s, 0, 1, s->h);
    for (int64_t i = 0; i < s->n_hidden; i++)
        s->h[i] = s->x[i] + s->sums[i];
    md_recurrent__act(s, 0, s->h, s->n_hidden);
}

const md_recurrent md_recurrent_rnn = {
    .n_gates = 1,
    .n_acts = 1,
    .acts = { "Tanh" },
    .step = step,
};

MD_RECURRENT_FUNCTIONS(md_recurrent_rnn)

const md_op md_op_rnn = {
    .domain = "",
    .name = "RNN",
    .since = 1,
    .in_min = 3,
    .in_max = 6,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_recurrent,
};
