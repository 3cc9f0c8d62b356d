/* Limits are attributes before opset 11, then inputs. */
#include <float.h>
#include <math.h>

#include "ops/common/util.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    if (c->opset < 11 && c->node->n_in > 1)
        return md_fail(err, MD_INVALID,
                       "Clip has %u inputs, 1 expected before opset 11",
                       (unsigned)c->node->n_in);
    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    for (uint32_t i = 1; i < 3; i++) {
        MD_TRY(md_infer__may(c, i, MD_TYPES_NUMBER, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        if (md_infer_has(c, i))
            MD_TRY(md_infer__length(c->in[i], MD_DIM(1), "a limit", err));
    }
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

/* Limit i of floats: that of float when no attribute says otherwise, none when
 * no input does. */
static double limit(const md_exec *x, uint32_t i, const char *attr, float sign)
{
    if (x->opset < 11)
        return md_node_attr_f(x->node, attr, sign * FLT_MAX);
    return md_exec__scalar(x, i, sign * INFINITY);
}

static void clip_f64(const md_exec *x, md_tensor *out)
{
    double lo = limit(x, 1, "min", -1.0f);
    double hi = limit(x, 2, "max", 1.0f);
    int64_t n = md_tensor_n(out);
    double v[MD_CHUNK];

    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        md_load_f64(v, x->in[0], at, m);
        for (int64_t i = 0; i < m; i++) {
            v[i] = v[i] < lo ? lo : v[i];
            v[i] = v[i] > hi ? hi : v[i];
        }
        md_store_f64(out, at, v, m);
    }
}

static void clip_i64(const md_exec *x, md_tensor *out)
{
    int64_t n = md_tensor_n(out);
    /* adding 2^63 orders uint64 as int64 */
    uint64_t flip = out->dtype == MD_DTYPE_U64 ? UINT64_C(1) << 63 : 0;
    int64_t lo = INT64_MIN, hi = INT64_MAX;

    if (md_exec_has(x, 1))
        lo = (int64_t)((uint64_t)md_tensor_get_i64(x->in[1], 0) ^ flip);
    if (md_exec_has(x, 2))
        hi = (int64_t)((uint64_t)md_tensor_get_i64(x->in[2], 0) ^ flip);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = (int64_t)((uint64_t)md_tensor_get_i64(x->in[0], i) ^ flip);

        v = v < lo ? lo : v;
        v = v > hi ? hi : v;
        md_tensor_set_i64(out, i, (int64_t)((uint64_t)v ^ flip));
    }
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    if (md_dtype_is_float(out->dtype))
        clip_f64(x, out);
    else
        clip_i64(x, out);
    return MD_OK;
}

const md_op md_op_clip = {
    .domain = "",
    .name = "Clip",
    .since = 1,
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
