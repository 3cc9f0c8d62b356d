/* To uint8 by the range of the data, which always holds 0. */
#include "kernels/quantize.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type scalar = { .dtype = MD_DTYPE_F32, .has_rank = true };

    MD_TRY(md_infer__need(c, 0, MD_T(F32), err));
    md_infer__like(c, 0, 0, MD_DTYPE_U8);
    md_infer__give(c, 1, &scalar);
    scalar.dtype = MD_DTYPE_U8;
    md_infer__give(c, 2, &scalar);
    return MD_OK;
}

typedef struct job {
    md_quantize_fn *fn;
    md_qparam param;
    uint8_t *q;
    const float *x;
} job;

static void quantize(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;

    j->fn(j->q + from, j->x + from, (size_t)(to - from), &j->param);
}

static md_status run(md_exec *x, md_error *err)
{
    job j = { .fn = md_quantize_select(x->cpu)->quantize, .x = x->in[0]->data };
    int64_t n = md_tensor_n(x->in[0]);
    md_tensor *out[3];
    float scale;
    uint8_t zero;

    MD_TRY(md_exec__outputs(x, infer, out, 3, err));
    md_quantize__range(&scale, &zero, j.x, n);
    if (out[0]) {
        j.q = out[0]->data;
        j.param = (md_qparam){ .scale = scale, .zero = zero, .q_max = 255 };
        md_exec__share(x, n, 0.5, quantize, &j);
    }
    if (out[1])
        *(float *)out[1]->data = scale;
    if (out[2])
        *(uint8_t *)out[2]->data = zero;
    return MD_OK;
}

const md_op md_op_dynamic_quantize_linear = {
    .domain = "",
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .in_min = 1,
    .in_max = 1,
    .out_min = 3,
    .out_max = 3,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_dynamic_quantize,
};
