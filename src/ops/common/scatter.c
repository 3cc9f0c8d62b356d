#include "ops/common/scatter.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/common/gather.h"

md_status md_scatter__how(md_scatter *out, const md_node *n, int64_t opset,
                          md_dtype dtype, md_error *err)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    const char *name = md_node_attr_s(n, "reduction", "none");
    int last = opset < 18 ? MD_SCATTER_MUL : MD_SCATTER_MIN;
    int i = 0;

    while (i <= last && strcmp(name, names[i]) != 0)
        i++;
    if (i > last)
        return md_fail(err, MD_INVALID,
                       "reduction is '%s', none, add, mul%s expected", name,
                       opset < 18 ? "" : ", max or min");
    if (i != MD_SCATTER_PUT &&
        (dtype == MD_DTYPE_STRING || dtype == MD_DTYPE_C64 ||
         dtype == MD_DTYPE_C128))
        return md_fail(err, MD_INVALID, "reduction '%s' of %s", name,
                       md_dtype_name(dtype));
    *out = (md_scatter)i;
    return MD_OK;
}

/* NaN wins, as in Max and Min. */
static double combine_f64(md_scatter how, double a, double b)
{
    switch (how) {
    case MD_SCATTER_ADD:
        return a + b;
    case MD_SCATTER_MUL:
        return a * b;
    case MD_SCATTER_MAX:
        return isnan(a) || a > b ? a : b;
    default:
        return isnan(a) || a < b ? a : b;
    }
}

static int64_t combine_i64(md_scatter how, int64_t a, int64_t b, bool is_u64)
{
    bool less = is_u64 ? (uint64_t)a < (uint64_t)b : a < b;

    switch (how) {
    case MD_SCATTER_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case MD_SCATTER_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case MD_SCATTER_MAX:
        return less ? b : a;
    default:
        return less ? a : b;
    }
}

/* An element of any type. */
static void put(md_scatter how, md_tensor *out, int64_t at,
                const md_tensor *updates, int64_t from)
{
    md_place to = { .t = out, .at = at };
    md_place source = { .t = (md_tensor *)updates, .at = from };
    md_shape one = { 0 };

    if (how == MD_SCATTER_PUT)
        md_move(&to, &source, &one);
    else if (md_dtype_is_float(out->dtype))
        md_tensor_set_f64(out, at,
                          combine_f64(how, md_tensor_get_f64(out, at),
                                      md_tensor_get_f64(updates, from)));
    else
        md_tensor_set_i64(out, at,
                          combine_i64(how, md_tensor_get_i64(out, at),
                                      md_tensor_get_i64(updates, from),
                                      out->dtype == MD_DTYPE_U64));
}

/* Element i of `from` goes to place at[i] of `to`, or i without `at`. */
#define EACH(expr)                                                             \
    for (int64_t i = 0; i < n; i++) {                                          \
        int64_t k = at ? at[i] : i;                                            \
        float a = to[k], b = from[i];                                          \
                                                                               \
        to[k] = (expr);                                                        \
    }                                                                          \
    break;

static void combine_f32(md_scatter how, float *to, const int64_t *at,
                        const float *from, int64_t n)
{
    switch (how) {
    case MD_SCATTER_PUT:
        assert(false);
        break;
    case MD_SCATTER_ADD:
        EACH(a + b)
    case MD_SCATTER_MUL:
        EACH(a * b)
    case MD_SCATTER_MAX:
        EACH(isnan(a) || a > b ? a : b)
    case MD_SCATTER_MIN:
        EACH(isnan(a) || a < b ? a : b)
    }
}

#define PUT(constant)                                                          \
    case constant:                                                             \
        for (int64_t i = 0; i < n; i++)                                        \
            memcpy(to + at[i] * (constant), from + i * (constant), constant);  \
        break;

static void put_bytes(char *to, const int64_t *at, const char *from, int64_t n,
                      size_t size)
{
    switch (size) {
        PUT(1)
        PUT(2)
        PUT(4)
        PUT(8)
        PUT(16)
    default:
        assert(false); /* no type has elements of another size */
    }
}

void md_scatter__row(md_scatter how, md_tensor *out, int64_t at,
                     const md_tensor *updates, int64_t from, int64_t n)
{
    const unsigned bits = md_dtype_bits(out->dtype);
    const int64_t bytes = bits / 8;

    if (how == MD_SCATTER_PUT && bits >= 8 && n > 0)
        memcpy((char *)out->data + at * bytes,
               (const char *)updates->data + from * bytes, (size_t)(n * bytes));
    else if (out->dtype == MD_DTYPE_F32)
        combine_f32(how, (float *)out->data + at, NULL,
                    (const float *)updates->data + from, n);
    else
        for (int64_t i = 0; i < n; i++)
            put(how, out, at + i, updates, from + i);
}

/* Updates from `from` on go to the places at[n]. */
static void put_all(md_scatter how, md_tensor *out, const int64_t *at,
                    const md_tensor *updates, int64_t from, int64_t n)
{
    unsigned bits = md_dtype_bits(out->dtype);

    if (out->dtype == MD_DTYPE_F32 && how != MD_SCATTER_PUT)
        combine_f32(how, out->data, at, (const float *)updates->data + from, n);
    else if (bits >= 8 && how == MD_SCATTER_PUT)
        put_bytes(out->data, at,
                  (const char *)updates->data + from * (int64_t)(bits / 8), n,
                  bits / 8);
    else
        for (int64_t i = 0; i < n; i++)
            put(how, out, at[i], updates, from + i);
}

static md_status check_dims(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0], *at = c->in[1], *up = c->in[2];
    int axis;

    if (at->has_rank && up->has_rank) {
        MD_TRY(md_infer__rank(c, 2, at->rank, at->rank, err));
        for (int i = 0; i < at->rank; i++)
            MD_TRY(md_infer__must_equal(c, up->dim[i], at->dim[i],
                                        "a dimension of updates", err));
    }
    if (!in->has_rank)
        return MD_OK;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                             in->rank, err));
    MD_TRY(md_infer__rank(c, 1, in->rank, in->rank, err));
    for (int i = 0; at->has_rank && i < at->rank; i++) {
        md_dim a = at->dim[i], b = in->dim[i];

        if (i != axis && md_dim_is_const(a) && md_dim_is_const(b) && a.k > b.k)
            return md_fail(err, MD_INVALID,
                           "indices reach %lld along axis %d of %lld",
                           (long long)a.k, i, (long long)b.k);
        if (i != axis)
            MD_TRY(md_infer__at_least(c, b, a, err));
    }
    return MD_OK;
}

md_status md_scatter__infer_elements(const md_infer *c, md_error *err)
{
    md_scatter how;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__need(c, 2, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_scatter__how(&how, c->node, c->opset, c->in[0]->dtype, err));
    MD_TRY(check_dims(c, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

/* Where n elements of a row of the indices, from element i on, go to. */
static md_status find_places(int64_t *at, const md_tensor *indices, int64_t i,
                             int64_t n, const md_shape *out, int axis,
                             md_error *err)
{
    const md_shape *s = &indices->shape;
    int64_t stride[MD_RANK_MAX], base = 0, left = i;
    bool side = axis != s->rank - 1;

    md_shape_strides(stride, out);
    for (int d = s->rank; d-- > 0; left /= s->dim[d])
        base += d == axis ? 0 : left % s->dim[d] * stride[d];
    md_load_i64(at, indices, i, n);
    for (int64_t k = 0; k < n; k++) {
        MD_TRY(md_gather__wrap(&at[k], out->dim[axis], err));
        at[k] = base + at[k] * stride[axis] + side * k;
    }
    return MD_OK;
}

md_status md_scatter__elements(md_exec *x, md_tensor *out, md_arena *ar,
                               md_error *err)
{
    const md_shape *s = &out->shape, *is = &x->in[1]->shape;
    int64_t n = md_tensor_n(x->in[1]), row = is->dim[is->rank - 1];
    int64_t at[MD_CHUNK];
    md_scatter how;
    int axis;

    (void)ar;
    MD_TRY(md_scatter__how(&how, x->node, x->opset, out->dtype, err));
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0), s->rank,
                             err));
    md_exec__move_all(x, out, x->in[0]);
    for (int64_t i = 0, m; i < n; i += m) {
        m = md_min_i64(row - i % row, MD_CHUNK);
        MD_TRY(find_places(at, x->in[1], i, m, s, axis, err));
        put_all(how, out, at, x->in[2], i, m);
    }
    return MD_OK;
}
