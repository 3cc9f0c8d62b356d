/* com.microsoft's TorchEmbedding: rows of a table by index; the other inputs
 * are for training. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_ANY, 2, MD_RANK_MAX, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Gather",
                            .opset = 13,
                            .in = { md_compose_in(m, 0), md_compose_in(m, 1) },
                            .n_in = 2 },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_torch_embedding = {
    .domain = "com.microsoft",
    .name = "TorchEmbedding",
    .since = 1,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
