/* com.microsoft's SampleOp: what goes in comes out. */
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_compose_emit(m,
                           &(md_compose_step){ .op = "Identity",
                                               .opset = 13,
                                               .in = { md_compose_in(m, 0) },
                                               .n_in = 1 },
                           &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_sample_op = {
    .domain = "com.microsoft",
    .name = "SampleOp",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
