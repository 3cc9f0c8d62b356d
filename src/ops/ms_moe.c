/* com.microsoft's MoE: a mixture of experts (ops/common/experts.h). */
#include "ops/common/experts.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static const md_expert_inputs inputs = { { 2, 4, 6 }, { 3, 5, 7 }, UINT32_MAX };
static const int64_t codes[MD_EXPERT_LAYERS] = { 1, 1, 1 };

static md_status infer(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < 8; i++) {
        MD_TRY(md_infer__may(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
    }
    return md_experts__infer(c, &inputs, codes, err);
}

static void load_row(const void *ctx, int l, int64_t e, int64_t row, float *out,
                     int64_t n)
{
    const md_exec *x = ctx;
    const md_tensor *t = x->in[inputs.weight[l]];

    md_load_f32(out, t, (e * t->shape.dim[1] + row) * n, n);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_experts o;

    MD_TRY(md_experts__attrs(&o, x->node, err));
    return md_experts__run(x, out, &o, &inputs, codes, load_row, x, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_moe = {
    .domain = "com.microsoft",
    .name = "MoE",
    .since = 1,
    .in_min = 5,
    .in_max = 8,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 3,
    .infer = infer,
    .run = run,
};
