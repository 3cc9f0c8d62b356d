/* com.microsoft's GridSample: the standard's of opset 16, older than it. */
#include "ops/compose.h"

static const char *const attributes[] = { "align_corners", "mode",
                                          "padding_mode", NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    md_part y;

    MD_TRY(md_compose_same_dtype(m, 0, 1, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "GridSample",
                            .opset = 16,
                            .in = { md_compose_in(m, 0), md_compose_in(m, 1) },
                            .n_in = 2,
                            .keep = attributes },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_grid_sample = {
    .domain = "com.microsoft",
    .name = "GridSample",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
