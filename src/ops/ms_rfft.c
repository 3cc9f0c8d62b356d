/* com.microsoft's Rfft: the Fourier transform of real numbers along the last
 * signal_ndim axes, of which half of the last one is kept. */
#include "ops/common/spectrum.h"

static md_status recipe(md_compose *m, md_error *err)
{
    static const int64_t last = -1;
    md_part x = md_compose_in(m, 0), axes, y;
    int64_t n;
    int rank;

    MD_TRY(md_spectrum__check(m, 0, &n, &rank, err));
    MD_TRY(md_compose_ints(m, &last, 1, &axes, err));
    MD_TRY(md_compose_binary(m, "Unsqueeze", x, axes, &y, err));
    MD_TRY(md_spectrum__transform(m, &y, rank - 1, false, true, err));
    for (int64_t i = 1; i < n; i++)
        MD_TRY(md_spectrum__transform(m, &y, rank - 1 - i, false, false, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_rfft = {
    .domain = "com.microsoft",
    .name = "Rfft",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
