/* com.microsoft's LinearAttention: the standard's, older than it. */
#include "ops/compose.h"

static const char *const attributes[] = { "chunk_size",  "kv_num_heads",
                                          "q_num_heads", "scale",
                                          "update_rule", NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    int64_t window = md_node_attr_i(m->node, "state_window", 0);
    md_part out[MD_COMPOSE_OUTPUTS];
    md_compose_step step = { .op = "LinearAttention",
                             .opset = 27,
                             .n_in = 6,
                             .n_out = 2,
                             .keep = attributes };

    if (window != 0)
        return md_fail(err, MD_UNSUPPORTED, "state_window is %lld, 0 expected",
                       (long long)window);
    for (uint32_t i = 0; i < 6; i++)
        step.in[i] = md_compose_in(m, i);
    MD_TRY(md_compose_emit(m, &step, out, err));
    md_compose_give(m, 0, out[0]);
    md_compose_give(m, 1, out[1]);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_linear_attention = {
    .domain = "com.microsoft",
    .name = "LinearAttention",
    .since = 1,
    .in_min = 3,
    .in_max = 6,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
