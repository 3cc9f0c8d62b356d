/* com.microsoft's MulInteger: (a - az) * (b - bz) in int32. */
#include "ops/common/elementwise.h"

enum { /* inputs */
    IN_A,
    IN_A_ZERO,
    IN_B,
    IN_B_ZERO
};

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I32 };

    MD_TRY(md_infer__need(c, IN_A, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, IN_B, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, IN_B, IN_A, err));
    for (uint32_t i = IN_A_ZERO; i <= IN_B_ZERO; i += 2) {
        MD_TRY(md_infer__same_dtype(c, i, IN_A, err));
        if (md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "zero point", err));
    }
    MD_TRY(md_infer__broadcast(c, &t, c->in[IN_A], c->in[IN_B], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in[2] = { x->in[IN_A], x->in[IN_B] };
    int64_t az = (int64_t)md_exec__scalar(x, IN_A_ZERO, 0.0);
    int64_t bz = (int64_t)md_exec__scalar(x, IN_B_ZERO, 0.0);
    md_rows r;

    (void)ar;
    (void)err;
    md_rows__begin(&r, &out->shape, 2, in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            int64_t a = md_tensor_get_i64(in[0], r.at[0] + i * r.step[0]);
            int64_t b = md_tensor_get_i64(in[1], r.at[1] + i * r.step[1]);

            md_tensor_set_i64(out, r.row * r.n + i, (a - az) * (b - bz));
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_mul_integer = {
    .domain = "com.microsoft",
    .name = "MulInteger",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 1,
    .infer = infer,
    .run = run,
};
