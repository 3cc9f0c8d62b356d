/* com.microsoft's Range: the standard's, older than it; the step is 1 when it
 * is not given. */
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part step = md_compose_in(m, 2), in[3], y;

    if (step == MD_PART_NONE)
        MD_TRY(md_compose_scalar(m, m->part[md_compose_in(m, 0)].type.dtype,
                                 1.0, &step, err));
    in[0] = md_compose_in(m, 0);
    in[1] = md_compose_in(m, 1);
    in[2] = step;
    MD_TRY(md_compose_emit(m,
                           &(md_compose_step){ .op = "Range",
                                               .opset = 11,
                                               .in = { in[0], in[1], in[2] },
                                               .n_in = 3 },
                           &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_range = {
    .domain = "com.microsoft",
    .name = "Range",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
