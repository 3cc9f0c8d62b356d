/* com.microsoft's GatherND: the standard's, older than it, whose indices may
 * be int32 as well. */
#include "ops/common/util.h"
#include "ops/compose.h"

static md_status recipe(md_compose *m, md_error *err)
{
    md_part at = md_compose_in(m, 1), y;

    MD_TRY(md_compose_check(m, 1, MD_TYPES_INDEX, 1, MD_RANK_MAX, err));
    if (m->part[at].type.dtype == MD_DTYPE_I32)
        MD_TRY(md_compose_emit(
            m,
            &(md_compose_step){ .op = "Cast",
                                .in = { at },
                                .n_in = 1,
                                .attr = { MD_GIVE_I("to", MD_DTYPE_I64) },
                                .n_attr = 1 },
            &at, err));
    MD_TRY(
        md_compose_emit(m,
                        &(md_compose_step){ .op = "GatherND",
                                            .opset = 13,
                                            .in = { md_compose_in(m, 0), at },
                                            .n_in = 2 },
                        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_gather_nd = {
    .domain = "com.microsoft",
    .name = "GatherND",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
