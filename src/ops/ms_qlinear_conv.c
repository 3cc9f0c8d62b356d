/* com.microsoft's QLinearConv: the standard's, or with channels last. */
#include "ops/common/util.h"
#include "ops/compose.h"

static const char *const attributes[] = {
    "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", NULL
};

static md_status recipe(md_compose *m, md_error *err)
{
    bool last = md_node_attr_i(m->node, "channels_last", 0) != 0;
    md_compose_step conv = { .op = "QLinearConv",
                             .n_in = 9,
                             .keep = attributes };
    md_part y;

    for (uint32_t i = 0; i < 9; i++)
        conv.in[i] = md_compose_in(m, i);
    if (last)
        MD_TRY(md_compose_to_nchw(m, conv.in[0], &conv.in[0], err));
    MD_TRY(md_compose_emit(m, &conv, &y, err));
    if (last)
        MD_TRY(md_compose_to_nhwc(m, y, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_qlinear_conv = {
    .domain = "com.microsoft",
    .name = "QLinearConv",
    .since = 1,
    .in_min = 8,
    .in_max = 9,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
