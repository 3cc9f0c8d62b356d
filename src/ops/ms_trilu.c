/* com.microsoft's Trilu: the standard's, older than it. */
#include "ops/compose.h"

static const char *const attributes[] = { "upper", NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Trilu",
                            .opset = 14,
                            .in = { md_compose_in(m, 0), md_compose_in(m, 1) },
                            .n_in = 2,
                            .keep = attributes },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_trilu = {
    .domain = "com.microsoft",
    .name = "Trilu",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
