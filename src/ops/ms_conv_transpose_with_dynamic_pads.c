/* com.microsoft's ConvTransposeWithDynamicPads: its padding is an input. */
#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F64) | MD_T(F16))

static md_status recipe(md_compose *m, md_error *err)
{
    static const char *const keep[] = {
        "auto_pad",       "group",        "strides", "dilations",
        "output_padding", "kernel_shape", NULL
    };
    md_part pads = md_compose_in(m, 2), y;
    const md_tensor *t;
    int64_t list[2 * MD_RANK_MAX] = { 0 };
    int64_t n, most = MD_COUNT(list);

    MD_TRY(md_compose_check(m, 0, TYPES, 3, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 3, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 2, MD_T(I64), 1, 1, err));
    MD_TRY(md_compose_check(m, 3, TYPES, 1, 1, err));
    if (pads == MD_PART_NONE)
        return md_fail(err, MD_INVALID, "Pads is missing");
    t = m->part[pads].data;
    if (!t) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "the padding is not known");
    }
    n = md_tensor_n(t);
    if (n > most)
        return md_fail(err, MD_INVALID, "Pads has %lld elements", (long long)n);
    md_load_i64(list, t, 0, n);
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "ConvTranspose",
                            .in = { md_compose_in(m, 0), md_compose_in(m, 1),
                                    md_compose_in(m, 3) },
                            .n_in = 3,
                            .attr = { MD_GIVE_IS("pads", list, (uint32_t)n) },
                            .n_attr = 1,
                            .keep = keep },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_conv_transpose_with_dynamic_pads = {
    .domain = "com.microsoft",
    .name = "ConvTransposeWithDynamicPads",
    .since = 1,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
