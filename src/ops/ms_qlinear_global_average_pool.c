/* com.microsoft's QLinearGlobalAveragePool, with channels first or last. */
#include "ops/common/pool.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

static bool is_last(const md_node *n)
{
    return md_node_attr_i(n, "channels_last", 0) != 0;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_qlinear__check_unary(c, err));
    if (!is_last(c->node))
        return md_pool__infer_global(c, err);
    MD_TRY(md_infer__rank(c, 0, 3, MD_RANK_MAX, err));
    t = *c->in[0];
    for (int i = 1; i < t.rank - 1; i++)
        t.dim[i] = MD_DIM(1);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* The sum is exact; its mean is rounded once to float32. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    int64_t zero = (int64_t)md_exec__scalar(x, 2, 0.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);
    bool last = is_last(x->node);
    int64_t channels = in->dim[last ? in->rank - 1 : 1];
    int64_t size = last ? md_shape_span(in, 1, in->rank - 1)
                        : md_shape_span(in, 2, in->rank);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        int64_t sum = 0, step = last ? channels : 1;
        int64_t at =
            last ? i / channels * size * channels + i % channels : i * size;

        for (int64_t k = 0; k < size; k++)
            sum += md_tensor_get_i64(x->in[0], at + k * step) - zero;
        md_quantize__set(
            out, i, scale * (size ? (float)((double)sum / (double)size) : 0.0f),
            out_scale, out_zero, true);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_global_average_pool = {
    .domain = "com.microsoft",
    .name = "QLinearGlobalAveragePool",
    .since = 1,
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_qlinear_global_pool,
};
