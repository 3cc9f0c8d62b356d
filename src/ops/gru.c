/* Gates z (update), r (reset) and h (hidden), in this order. */
#include "ops/common/recurrent.h"
#include "ops/lower.h"

/* With linear_before_reset the product with R is reset, otherwise what goes
 * into it. */
static void step(const md_recurrent_cell *s)
{
    int64_t n = s->n_hidden;
    double *z = s->x, *r = s->x + n, *hidden = s->x + 2 * n;

    md_recurrent__multiply(s, 0, 2, s->h);
    for (int64_t i = 0; i < 2 * n; i++)
        s->x[i] += s->sums[i];
    md_recurrent__act(s, 0, s->x, 2 * n);
    for (int64_t i = 0; i < n; i++)
        s->scratch[i] = s->variant ? s->h[i] : r[i] * s->h[i];
    md_recurrent__multiply(s, 2, 3, s->scratch);
    for (int64_t i = 0; i < n; i++)
        hidden[i] += (s->variant ? r[i] : 1.0) * s->sums[2 * n + i];
    md_recurrent__act(s, 1, hidden, n);
    for (int64_t i = 0; i < n; i++)
        s->h[i] = (1.0 - z[i]) * hidden[i] + z[i] * s->h[i];
}

const md_recurrent md_recurrent_gru = {
    .n_gates = 3,
    .n_acts = 2,
    .acts = { "Sigmoid", "Tanh" },
    .variant = "linear_before_reset",
    .step = step,
};

MD_RECURRENT_FUNCTIONS(md_recurrent_gru)

const md_op md_op_gru = {
    .domain = "",
    .name = "GRU",
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
