#include "base/attr.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

md_status md_dequantize_linear__infer(const md_infer *c, md_error *err)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);
    md_dtype dtype = md_infer__dtype(c, 1);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_QUANT | MD_T(I32), err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT | MD_T(F8E8M0), err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_QUANT | MD_T(I32), err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    if (given > 0 && given < 32 && MD_TYPES_FLOAT >> given & 1)
        dtype = (md_dtype)given;
    else if (given)
        return md_fail(err, MD_INVALID, "output_dtype is %lld",
                       (long long)given);
    MD_TRY(md_qmap__infer(c, err));
    md_infer__like(c, 0, 0, dtype);
    return MD_OK;
}

typedef struct job {
    md_qmap map;
    md_tensor *out;
    const md_tensor *x, *scale, *zero;
} job;

/* What the elements are before they are scaled.  Small floats have no zero
 * point other than 0. */
static void centred(float *v, const job *j, const md_qrun *r, int64_t at,
                    int64_t n)
{
    int64_t q[MD_CHUNK];
    int32_t zero[MD_CHUNK];

    if (md_dtype_is_float(j->x->dtype)) {
        md_load_f32(v, j->x, r->from + at, n);
        return;
    }
    md_load_i64(q, j->x, r->from + at, n);
    md_qrun__zeros(zero, r, j->zero, at, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(q[i] - zero[i]);
}

static void dequantize(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    float v[MD_CHUNK], scale[MD_CHUNK];

    for (int64_t i = from; i < to; i++) {
        md_qrun r = md_qmap__run(&j->map, md_tensor_n(j->out), i);

        for (int64_t at = 0; at < r.n; at += MD_CHUNK) {
            int64_t n = md_min_i64(r.n - at, MD_CHUNK);

            centred(v, j, &r, at, n);
            md_qrun__scales(scale, &r, j->scale, at, n);
            MD_SIMD
            for (int64_t k = 0; k < n; k++)
                v[k] *= scale[k];
            md_store_f32(j->out, r.from + at, v, n);
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .out = out,
              .x = x->in[0],
              .scale = x->in[1],
              .zero = md_exec_has(x, 2) ? x->in[2] : NULL };

    (void)ar;
    MD_TRY(md_qmap__make(&j.map, x, err));
    md_qmap__share(&j.map, x, md_tensor_n(out), x->in[0]->dtype, dequantize,
                   &j);
    return MD_OK;
}

md_status md_dequantize_linear__run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_dequantize_linear__infer, compute, err);
}

const md_op md_op_dequantize_linear = {
    .domain = "",
    .name = "DequantizeLinear",
    .since = 10,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_dequantize_linear__infer,
    .run = md_dequantize_linear__run,
    .fast = &md_fast_dequantize,
};
