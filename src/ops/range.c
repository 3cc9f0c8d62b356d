/* start, start + delta, ... below limit. */
#include <math.h>

#include "kernels/vbinary.h"
#include "ops/common/data.h"
#include "ops/common/util.h"

#define TYPES (MD_TYPES_FLOAT | MD_T(I16) | MD_T(I32) | MD_T(I64))

/* Number of elements for known inputs. */
static md_status count(int64_t *out, const md_tensor *const *in, md_error *err)
{
    double n;

    if (md_dtype_is_float(in[0]->dtype)) {
        double delta = md_tensor_get_f64(in[2], 0);

        n = ceil((md_tensor_get_f64(in[1], 0) - md_tensor_get_f64(in[0], 0)) /
                 delta);
    } else {
        int64_t start = md_tensor_get_i64(in[0], 0);
        int64_t limit = md_tensor_get_i64(in[1], 0);
        int64_t delta = md_tensor_get_i64(in[2], 0);
        bool up = delta > 0;
        uint64_t span, step;

        if (delta == 0)
            return md_fail(err, MD_INVALID, "delta is 0");
        span = up ? (uint64_t)limit - (uint64_t)start
                  : (uint64_t)start - (uint64_t)limit;
        step = up ? (uint64_t)delta : 0 - (uint64_t)delta;
        if (up ? limit <= start : limit >= start)
            span = 0;
        span = span / step + (span % step != 0);
        n = (double)span;
    }
    if (isnan(n) || n >= 0x1p62)
        return md_fail(err, MD_INVALID, "the range does not end");
    *out = n > 0.0 ? (int64_t)n : 0;
    return MD_OK;
}

/* The single element of input i; false where it is not known. */
static bool limit(const md_infer *c, uint32_t i, md_dim *out)
{
    if (c->din && c->din[i])
        *out = c->din[i][0];
    else if (c->cin[i] && !md_dtype_is_float(c->cin[i]->dtype))
        *out = MD_DIM(md_tensor_get_i64(c->cin[i], 0));
    else
        return false;
    return true;
}

/* The number of elements of a range of integers whose limits depend on
 * sizes. */
static md_status count_symbolic(const md_infer *c, md_dim *out, md_error *err)
{
    md_dim start, end, delta, span;
    bool up;

    if (!limit(c, 0, &start) || !limit(c, 1, &end) || !limit(c, 2, &delta) ||
        md_dtype_is_float(c->in[0]->dtype) || !md_dim_is_const(delta) ||
        delta.k == 0 || delta.k < -INT32_MAX || delta.k > INT32_MAX)
        return md_infer__fresh(c, out, err);
    up = delta.k > 0;
    delta.k = up ? delta.k : -delta.k;
    MD_TRY(md_dim__derive(c, &span, MD_EXPR_MUL, up ? start : end, MD_DIM(-1),
                          err));
    MD_TRY(md_dim__derive(c, &span, MD_EXPR_ADD, up ? end : start, span, err));
    MD_TRY(md_dim__derive(c, &span, MD_EXPR_MAX, span, MD_DIM(0), err));
    MD_TRY(
        md_dim__derive(c, &span, MD_EXPR_ADD, span, MD_DIM(delta.k - 1), err));
    return md_dim__derive(c, out, MD_EXPR_DIV, span, delta, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .has_rank = true, .rank = 1 };
    int64_t n = 0;

    for (uint32_t i = 0; i < 3; i++) {
        MD_TRY(md_infer__need(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "a limit", err));
    }
    t.dtype = c->in[0]->dtype;
    if (c->cin[0] && c->cin[1] && c->cin[2]) {
        MD_TRY(count(&n, c->cin, err));
        t.dim[0] = MD_DIM(n);
    } else {
        MD_TRY(count_symbolic(c, &t.dim[0], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

enum {
    HOP = 1024 /* integers that are computed from those before them */
};

typedef struct job {
    md_tensor *out;
    md_vbinary_fn *add;
    double from_f64, by_f64;
    uint64_t from_u64, by_u64; /* integers wrap */
    uint64_t hop;              /* HOP * delta, in the type of out */
} job;

static void fill_floats(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    double v[MD_CHUNK];

    for (int64_t n; from < to; from += n) {
        n = md_min_i64(to - from, MD_CHUNK);
        for (int64_t i = 0; i < n; i++)
            v[i] = j->from_f64 + (double)(from + i) * j->by_f64;
        md_store_f64(j->out, from, v, n);
    }
}

static void fill_integers(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const int64_t size = md_dtype_bits(j->out->dtype) / 8;
    char *y = (char *)j->out->data + from * size;
    uint64_t first[HOP];
    int64_t n = md_min_i64(to - from, HOP);

    for (int64_t i = 0; i < n; i++)
        first[i] = j->from_u64 + (uint64_t)(from + i) * j->by_u64;
    md_store_i64(j->out, from, (const int64_t *)first, n);
    for (from += n; from < to; from += n) {
        y += HOP * size;
        n = md_min_i64(to - from, HOP);
        j->add(y, y - HOP * size, &j->hop, (size_t)n, 0);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .out = out };
    md_tensor hop = { .dtype = out->dtype };

    (void)ar;
    (void)err;
    if (md_dtype_is_float(out->dtype)) {
        j.from_f64 = md_tensor_get_f64(x->in[0], 0);
        j.by_f64 = md_tensor_get_f64(x->in[2], 0);
        md_exec__share(x, md_tensor_n(out), 0.5, fill_floats, &j);
        return MD_OK;
    }
    j.from_u64 = (uint64_t)md_tensor_get_i64(x->in[0], 0);
    j.by_u64 = (uint64_t)md_tensor_get_i64(x->in[2], 0);
    j.add = md_vbinary_select(x->cpu)->find(MD_VBINARY_ADD, out->dtype);
    hop.data = &j.hop;
    md_tensor_set_i64(&hop, 0, (int64_t)(HOP * j.by_u64));
    md_exec__share(x, md_tensor_n(out), 0.2, fill_integers, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_range = {
    .domain = "",
    .name = "Range",
    .since = 11,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__range,
};
