/* com.microsoft's Pad: the standard's, older than it; pads may be [1, n]. */
#include "ops/common/util.h"
#include "ops/compose.h"

static const char *const attributes[] = { "mode", NULL };

static md_status recipe(md_compose *m, md_error *err)
{
    static const int64_t flat[1] = { -1 };
    md_part pads = md_compose_in(m, 1), value = md_compose_in(m, 2), to, y;
    int rank;

    MD_TRY(md_compose_check(m, 1, MD_T(I64), 1, 2, err));
    MD_TRY(md_compose_rank(m, pads, &rank, err));
    if (rank == 2) {
        MD_TRY(md_infer__same_dim(m->part[pads].type.dim[0], MD_DIM(1),
                                  "axis 0 of pads", err));
        MD_TRY(md_compose_ints(m, flat, 1, &to, err));
        MD_TRY(md_compose_binary(m, "Reshape", pads, to, &pads, err));
    }
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Pad",
                            .opset = 13,
                            .in = { md_compose_in(m, 0), pads, value },
                            .n_in = 3,
                            .keep = attributes },
        &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_pad = {
    .domain = "com.microsoft",
    .name = "Pad",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
