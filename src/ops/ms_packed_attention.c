/* com.microsoft's PackedAttention: Attention of sequences without padding. */
#include "ops/common/project.h"
#include "ops/common/util.h"

static const char *const attributes[] = { "num_heads", "qkv_hidden_sizes",
                                          "scale", NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    md_part qkv, y;

    MD_TRY(md_compose_check(m, 0, MD_T(F32) | MD_T(F16), 2, 2, err));
    MD_TRY(md_compose_check(m, 1, MD_T(F32) | MD_T(F16), 2, 2, err));
    MD_TRY(md_compose_check(m, 2, MD_T(F32) | MD_T(F16), 1, 1, err));
    MD_TRY(md_compose_row(m, 1, 2, err));
    MD_TRY(md_project__rows(m, md_compose_in(m, 0), md_compose_in(m, 1),
                            md_compose_in(m, 2), &qkv, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "QkvPackedAttention",
                            .domain = "modeld",
                            .in = { qkv, md_compose_in(m, 3),
                                    md_compose_in(m, 4), md_compose_in(m, 5) },
                            .n_in = 4,
                            .keep = attributes },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_packed_attention = {
    .domain = "com.microsoft",
    .name = "PackedAttention",
    .since = 1,
    .in_min = 5,
    .in_max = 6,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
