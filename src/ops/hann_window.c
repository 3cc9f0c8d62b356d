#include "ops/common/taper.h"

static const double terms[3] = { 0.5, 0.5, 0.0 };

MD_TAPER_FUNCTIONS

const md_op md_op_hann_window = {
    .domain = "",
    .name = "HannWindow",
    .since = 17,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = md_taper__infer,
    .run = run,
};
