/* com.microsoft's CausalConvWithState: the standard's, and with channels
 * last. */
#include "ops/common/util.h"
#include "ops/compose.h"

static const char *const attributes[] = { "activation", "dilation", NULL };

/* What the standard's has no word for. */
static md_status refuse(const md_node *n, md_error *err)
{
    static const struct {
        const char *attr;
        int64_t only;
    } rows[] = { { "ndim", 1 },
                 { "state_window", 0 },
                 { "state_length", 0 },
                 { "input_channels", 0 },
                 { "input_channel_offset", 0 },
                 { "state_update_capacity", 0 } };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        int64_t v = md_node_attr_i(n, rows[i].attr, rows[i].only);

        if (v != rows[i].only)
            return md_fail(err, MD_UNSUPPORTED, "%s is %lld, %lld expected",
                           rows[i].attr, (long long)v, (long long)rows[i].only);
    }
    return MD_OK;
}

static md_status recipe(md_compose *m, md_error *err)
{
    bool last = md_node_attr_i(m->node, "channels_last", 0) != 0;
    md_part x = md_compose_in(m, 0), past = md_compose_in(m, 3), out[2];

    MD_TRY(refuse(m->node, err));
    MD_TRY(
        md_compose_check(m, 0, MD_T(F32) | MD_T(F16) | MD_T(BF16), 3, 3, err));
    if (last)
        MD_TRY(md_compose_to_nchw(m, x, &x, err));
    if (last && past != MD_PART_NONE)
        MD_TRY(md_compose_to_nchw(m, past, &past, err));
    MD_TRY(
        md_compose_emit(m,
                        &(md_compose_step){ .op = "CausalConvWithState",
                                            .opset = 27,
                                            .in = { x, md_compose_in(m, 1),
                                                    md_compose_in(m, 2), past },
                                            .n_in = 4,
                                            .n_out = 2,
                                            .keep = attributes },
                        out, err));
    for (uint32_t i = 0; i < 2; i++) {
        if (last)
            MD_TRY(md_compose_to_nhwc(m, out[i], &out[i], err));
        md_compose_give(m, i, out[i]);
    }
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_causal_conv_with_state = {
    .domain = "com.microsoft",
    .name = "CausalConvWithState",
    .since = 1,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
