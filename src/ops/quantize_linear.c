#include "base/attr.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"
#include "tensor/float.h"

static md_dtype result(const md_infer *c)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);

    if (md_infer_has(c, 2))
        return md_infer__dtype(c, 2);
    if (given) /* 0 < given < MD_DTYPE_N was checked */
        return (md_dtype)given;
    return MD_DTYPE_U8;
}

md_status md_quantize_linear__infer(const md_infer *c, md_error *err)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);
    int64_t precision = md_node_attr_i(c->node, "precision", MD_DTYPE_F32);
    md_dtype dtype;

    if (precision < 0 || precision >= MD_DTYPE_N ||
        (precision > 0 && !(MD_TYPES_FLOAT >> precision & 1)))
        return md_fail(err, MD_INVALID,
                       "precision is %lld, the number of a float type expected",
                       (long long)precision);
    if (given < 0 || given >= MD_DTYPE_N)
        return md_fail(err, MD_INVALID, "output_dtype is %lld",
                       (long long)given);
    dtype = result(c);
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_T(I32), err));
    MD_TRY(
        md_infer__need(c, 1, MD_TYPES_FLOAT | MD_T(I32) | MD_T(F8E8M0), err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_QUANT, err));
    if (dtype != MD_DTYPE_NONE && !(MD_TYPES_QUANT >> dtype & 1))
        return md_fail(err, MD_INVALID,
                       "output_dtype %s is not a type to "
                       "quantize to",
                       md_dtype_name(dtype));
    if (given && dtype != MD_DTYPE_NONE && dtype != (md_dtype)given)
        return md_fail(err, MD_INVALID, "output_dtype is %s, the zero point %s",
                       md_dtype_name((md_dtype)given), md_dtype_name(dtype));
    MD_TRY(md_qmap__infer(c, err));
    md_infer__like(c, 0, 0, dtype);
    return MD_OK;
}

/* "The type of y_scale determines the precision of the division", unless an
 * attribute does; before opset 23, and of other types, it is done in float32. */
static md_dtype divided_in(const md_exec *x)
{
    md_dtype t = (md_dtype)md_node_attr_i(x->node, "precision", MD_DTYPE_NONE);

    if (t == MD_DTYPE_NONE && x->opset >= 23)
        t = x->in[1]->dtype;
    return t == MD_DTYPE_F16 || t == MD_DTYPE_BF16 ? t : MD_DTYPE_F32;
}

static void round_to(md_dtype t, float *v, int64_t n)
{
    for (int64_t i = 0; i < n && t == MD_DTYPE_F16; i++)
        v[i] = md_f16_to_f32(md_f32_to_f16(v[i]));
    for (int64_t i = 0; i < n && t == MD_DTYPE_BF16; i++)
        v[i] = md_bf16_to_f32(md_f32_to_bf16(v[i]));
}

typedef struct job {
    md_qmap map;
    md_dtype in;
    md_tensor *out;
    const md_tensor *x, *scale, *zero;
    bool saturate;
} job;

/* n elements of a run, from its element `at` on, divided by their scales. */
static void divide(float *v, const job *j, const md_qrun *r, int64_t at,
                   int64_t n)
{
    float scale[MD_CHUNK];

    md_load_f32(v, j->x, r->from + at, n);
    md_qrun__scales(scale, r, j->scale, at, n);
    round_to(j->in, v, n);
    round_to(j->in, scale, n);
    MD_SIMD
    for (int64_t i = 0; i < n; i++)
        v[i] /= scale[i];
    round_to(j->in, v, n);
}

/* Integers of up to 16 bits.  Clamped, t is below 2^17, so adding 1.5 * 2^23
 * rounds it to an integer, half to even. */
static void to_integers(const job *j, const md_qrun *r, int64_t at, int64_t n)
{
    int64_t lo = md_dtype_int_min(j->out->dtype), q[MD_CHUNK];
    int64_t hi = md_dtype_int_max(j->out->dtype);
    int32_t zero[MD_CHUNK];
    float v[MD_CHUNK];

    divide(v, j, r, at, n);
    md_qrun__zeros(zero, r, j->zero, at, n);
    MD_SIMD
    for (int64_t i = 0; i < n; i++) {
        float min = (float)((int32_t)lo - zero[i]);
        float max = (float)((int32_t)hi - zero[i]);
        float t = v[i] > min ? v[i] : min;

        t = t < max ? t : max;
        t = (t + 0x1.8p23f) - 0x1.8p23f;
        q[i] = (int32_t)t + zero[i];
    }
    md_store_i64(j->out, r->from + at, q, n);
}

static void to_floats(const job *j, const md_qrun *r, int64_t at, int64_t n)
{
    float v[MD_CHUNK];

    divide(v, j, r, at, n);
    for (int64_t i = 0; i < n; i++)
        md_quantize__set(j->out, r->from + at + i, v[i], 1.0f, 0, j->saturate);
}

static void quantize(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;

    for (int64_t i = from; i < to; i++) {
        md_qrun r = md_qmap__run(&j->map, md_tensor_n(j->out), i);

        for (int64_t at = 0; at < r.n; at += MD_CHUNK) {
            int64_t n = md_min_i64(r.n - at, MD_CHUNK);

            if (md_dtype_is_float(j->out->dtype))
                to_floats(j, &r, at, n);
            else
                to_integers(j, &r, at, n);
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .in = divided_in(x),
              .out = out,
              .x = x->in[0],
              .scale = x->in[1],
              .zero = md_exec_has(x, 2) ? x->in[2] : NULL,
              .saturate = md_node_attr_i(x->node, "saturate", 1) != 0 };

    (void)ar;
    MD_TRY(md_qmap__make(&j.map, x, err));
    md_qmap__share(&j.map, x, md_tensor_n(out), out->dtype, quantize, &j);
    return MD_OK;
}

md_status md_quantize_linear__run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_quantize_linear__infer, compute, err);
}

const md_op md_op_quantize_linear = {
    .domain = "",
    .name = "QuantizeLinear",
    .since = 10,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_quantize_linear__infer,
    .run = md_quantize_linear__run,
    .fast = &md_fast_quantize,
};
