#include <math.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    md_infer__like(c, 0, 0, MD_DTYPE_BOOL);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool negative = md_node_attr_i(x->node, "detect_negative", 1) != 0;
    bool positive = md_node_attr_i(x->node, "detect_positive", 1) != 0;
    int64_t n = md_tensor_n(out);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(x->in[0], i);

        ((uint8_t *)out->data)[i] = isinf(v) && (v < 0.0 ? negative : positive);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_is_inf = {
    .domain = "",
    .name = "IsInf",
    .since = 10,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
