/* com.microsoft's FusedGemm: Gemm and an activation. */
#include <string.h>

#include "ops/common/util.h"
#include "ops/compose.h"

static const char *const attributes[] = { "alpha", "beta", "transA", "transB",
                                          NULL };

/* What activation_alpha, activation_beta and activation_gamma stand for. */
static md_status activate(md_compose *m, md_part x, md_part *y, md_error *err)
{
    const char *name = md_node_attr_s(m->node, "activation", "");
    float a = md_node_attr_f(m->node, "activation_alpha", 0.0f);
    float b = md_node_attr_f(m->node, "activation_beta", 0.0f);

    if (strcmp(name, "Selu") == 0)
        b = md_node_attr_f(m->node, "activation_gamma", 0.0f);
    return md_compose_activation(m, name, a, b, x, y, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Gemm",
                            .in = { md_compose_in(m, 0), md_compose_in(m, 1),
                                    md_compose_in(m, 2) },
                            .n_in = 3,
                            .keep = attributes },
        &y, err));
    MD_TRY(activate(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_fused_gemm = {
    .domain = "com.microsoft",
    .name = "FusedGemm",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
