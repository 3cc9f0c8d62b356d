#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/vbinary.h"
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    md_infer__like(c, 0, 0, MD_DTYPE_BOOL);
    return MD_OK;
}

typedef struct job {
    const md_tensor *in;
    uint8_t *out;
    bool negative, positive; /* which ones count */
    md_vbinary_fn *equal;    /* of float32 */
} job;

/* Floats at x that are +Inf or -Inf. */
static void find_f32(const job *j, uint8_t *y, const float *x, size_t n)
{
    const float inf = INFINITY, minus = -inf;
    uint8_t other[MD_CHUNK];

    if (j->positive)
        j->equal(y, x, &inf, n, 0);
    else
        memset(y, 0, n);
    if (!j->negative)
        return;
    j->equal(other, x, &minus, n, 0);
    MD_SIMD
    for (size_t i = 0; i < n; i++)
        y[i] |= other[i];
}

static void find(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const double inf = (double)INFINITY;
    double v[MD_CHUNK];

    for (int64_t at = from; at < to; at += MD_CHUNK) {
        int64_t n = md_min_i64(to - at, MD_CHUNK);

        if (j->equal) {
            find_f32(j, j->out + at, (const float *)j->in->data + at,
                     (size_t)n);
            continue;
        }
        md_load_f64(v, j->in, at, n);
        MD_SIMD
        for (int64_t i = 0; i < n; i++)
            j->out[at + i] = (uint8_t)(((v[i] == inf) & j->positive) |
                                       ((v[i] == -inf) & j->negative));
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .in = x->in[0],
              .out = out->data,
              .negative = md_node_attr_i(x->node, "detect_negative", 1) != 0,
              .positive = md_node_attr_i(x->node, "detect_positive", 1) != 0 };

    (void)ar;
    (void)err;
    if (x->in[0]->dtype == MD_DTYPE_F32)
        j.equal = md_vbinary_select(x->cpu)->find(MD_VBINARY_EQ, MD_DTYPE_F32);
    md_exec__share(x, md_tensor_n(out), 0.5, find, &j);
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
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
