/* com.microsoft's NhwcMaxPool: MaxPool of 8-bit codes with channels last. */
#include "ops/common/util.h"
#include "ops/compose.h"

static const char *const attributes[] = { "auto_pad",  "ceil_mode",
                                          "dilations", "kernel_shape",
                                          "pads",      "strides",
                                          NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x, y;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_Q8, 3, MD_RANK_MAX, err));
    MD_TRY(md_compose_to_nchw(m, md_compose_in(m, 0), &x, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "MaxPool", .in = { x }, .n_in = 1, .keep = attributes },
        &y, err));
    MD_TRY(md_compose_to_nhwc(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_nhwc_max_pool = {
    .domain = "com.microsoft",
    .name = "NhwcMaxPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
