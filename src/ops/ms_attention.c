/* com.microsoft's Attention: input times the weights of queries, keys and
 * values, then heads that attend. */
#include "ops/common/project.h"
#include "ops/common/util.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status recipe(md_compose *m, md_error *err)
{
    const md_projected p = { .mask = md_compose_in(m, 3),
                             .past = md_compose_in(m, 4),
                             .bias = md_compose_in(m, 5),
                             .past_length = md_compose_in(m, 6) };
    md_part qkv;

    MD_TRY(md_compose_check(m, 0, TYPES, 3, 3, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 2, 2, err));
    MD_TRY(md_compose_check(m, 2, TYPES, 1, 1, err));
    if (md_compose_in(m, 2) != MD_PART_NONE)
        MD_TRY(md_compose_row(m, 1, 2, err));
    MD_TRY(md_project__rows(m, md_compose_in(m, 0), md_compose_in(m, 1),
                            md_compose_in(m, 2), &qkv, err));
    return md_project__attend(m, qkv, &p, err);
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_attention = {
    .domain = "com.microsoft",
    .name = "Attention",
    .since = 1,
    .in_min = 2,
    .in_max = 7,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
