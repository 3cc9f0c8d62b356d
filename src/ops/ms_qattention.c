/* com.microsoft's QAttention: Attention whose input and weights are 8-bit
 * codes; queries, keys and values are floats. */
#include "ops/common/project.h"
#include "ops/common/util.h"

enum { /* inputs */
    IN_X,
    IN_W,
    IN_BIAS,
    IN_X_SCALE,
    IN_W_SCALE,
    IN_MASK,
    IN_X_ZERO,
    IN_W_ZERO,
    IN_PAST
};

static md_status recipe(md_compose *m, md_error *err)
{
    const md_projected p = { .mask = md_compose_in(m, IN_MASK),
                             .past = md_compose_in(m, IN_PAST),
                             .bias = MD_PART_NONE,
                             .past_length = MD_PART_NONE };
    md_part qkv;

    MD_TRY(md_compose_check(m, IN_X, MD_TYPES_Q8, 3, 3, err));
    MD_TRY(md_compose_check(m, IN_W, MD_TYPES_Q8, 2, 2, err));
    if (md_node_attr_i(m->node, "past_present_share_buffer", 0))
        return md_fail(err, MD_UNSUPPORTED, "past_present_share_buffer");
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "MatMulIntegerToFloat",
            .domain = "com.microsoft",
            .in = { md_compose_in(m, IN_X), md_compose_in(m, IN_W),
                    md_compose_in(m, IN_X_SCALE), md_compose_in(m, IN_W_SCALE),
                    md_compose_in(m, IN_X_ZERO), md_compose_in(m, IN_W_ZERO),
                    md_compose_in(m, IN_BIAS) },
            .n_in = 7 },
        &qkv, err));
    return md_project__attend(m, qkv, &p, err);
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_qattention = {
    .domain = "com.microsoft",
    .name = "QAttention",
    .since = 1,
    .in_min = 5,
    .in_max = 9,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
