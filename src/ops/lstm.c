#include "ops/common/recurrent.h"
#include "ops/lower.h"

static void step(const md_recurrent_cell *s)
{
    md_recurrent__lstm(s, s->h);
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
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_recurrent,
};
