/* Bounds are attributes before opset 10, then inputs. */
#include "ops/common/data.h"
#include "ops/common/util.h"
#include "ops/grad.h"

typedef struct bounds {
    md_ints starts, ends, axes, steps;
} bounds;

static md_status read_bounds(bounds *b, const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__moved_ints(c, "starts", 10, 1, &b->starts, err));
    MD_TRY(md_infer__moved_ints(c, "ends", 10, 2, &b->ends, err));
    MD_TRY(md_infer__moved_ints(c, "axes", 10, 3, &b->axes, err));
    b->steps = (md_ints){ .known = true };
    if (c->opset >= 10)
        MD_TRY(md_infer__input_ints(c, 4, &b->steps, err));
    if (!b->starts.given || !b->ends.given)
        return md_fail(err, MD_INVALID, "Slice lacks starts or ends");
    return MD_OK;
}

/* Lists agree in length; axes and steps get their defaults. */
static md_status complete(bounds *b, int rank, md_error *err)
{
    int n = b->starts.n;

    if (!b->axes.given) {
        b->axes.n = n;
        for (int i = 0; i < n; i++)
            b->axes.v[i] = i;
    }
    if (!b->steps.given) {
        b->steps.n = n;
        for (int i = 0; i < n; i++)
            b->steps.v[i] = 1;
    }
    if (b->ends.n != n || b->axes.n != n || b->steps.n != n)
        return md_fail(err, MD_INVALID,
                       "%d starts, %d ends, %d axes and %d steps", n, b->ends.n,
                       b->axes.n, b->steps.n);
    for (int i = 0; i < n; i++) {
        if (b->steps.v[i] == 0)
            return md_fail(err, MD_INVALID, "a step is 0");
    }
    return md_infer__axes(&b->axes, rank, err);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* First element and number of elements along an axis of n. */
static void resolve(const bounds *b, int i, int64_t n, int64_t *first,
                    int64_t *count)
{
    int64_t step = b->steps.v[i], from = b->starts.v[i], to = b->ends.v[i];
    uint64_t span = 0, by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;

    from = from < 0 ? from + n : from;
    to = to < 0 ? to + n : to;
    if (step > 0) {
        from = clamp(from, 0, n);
        to = clamp(to, 0, n);
        span = to > from ? (uint64_t)(to - from) : 0;
    } else {
        from = clamp(from, -1, n - 1);
        to = clamp(to, -1, n - 1);
        span = from > to ? (uint64_t)(from - to) : 0;
    }
    *first = from;
    *count = (int64_t)(span / by + (span % by != 0));
}

/* v, cut to what is on an axis of n.  Ends as large as this mean the end. */
static md_status cut(const md_infer *c, md_dim *out, md_dim v, md_dim n,
                     md_error *err)
{
    md_dim unused;

    if (md_dim_is_const(v) && v.k >= INT32_MAX) {
        *out = n;
        return md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, v, n, err);
    }
    MD_TRY(md_dim__derive(c, out, MD_EXPR_WRAP, v, n, err));
    MD_TRY(md_dim__derive(c, out, MD_EXPR_MAX, *out, MD_DIM(0), err));
    return md_dim__derive(c, out, MD_EXPR_MIN, *out, n, err);
}

/* The number of elements from `from` to `to` along an axis of n, where sizes
 * are not known yet. */
static md_status count_symbolic(const md_infer *c, md_dim *n, md_dim from,
                                md_dim to, int64_t step, md_error *err)
{
    bool whole = md_dim_is_const(from) && md_dim_is_const(to) &&
                 (from.k == -1 || from.k == INT64_MAX) && to.k < INT32_MIN &&
                 step < 0 && step > INT32_MIN;
    md_dim all = *n;

    if (!c->model || (!whole && (step <= 0 || step > INT32_MAX)))
        return md_infer__fresh(c, n, err);
    if (!whole) {
        MD_TRY(cut(c, &from, from, all, err));
        MD_TRY(cut(c, &to, to, all, err));
        MD_TRY(md_dim__derive(c, &from, MD_EXPR_MUL, from, MD_DIM(-1), err));
        MD_TRY(md_dim__derive(c, &all, MD_EXPR_ADD, to, from, err));
        MD_TRY(md_dim__derive(c, &all, MD_EXPR_MAX, all, MD_DIM(0), err));
    }
    step = step < 0 ? -step : step;
    MD_TRY(md_dim__derive(c, &all, MD_EXPR_ADD, all, MD_DIM(step - 1), err));
    return md_dim__derive(c, n, MD_EXPR_DIV, all, MD_DIM(step), err);
}

/* What is left of the axes; bounds may depend on sizes, axes and steps not. */
static md_status slice_dims(const md_infer *c, md_type *t, bounds *b,
                            md_error *err)
{
    md_dims from, to;

    MD_TRY(md_infer__moved_dims(c, "starts", 10, 1, &from, err));
    MD_TRY(md_infer__moved_dims(c, "ends", 10, 2, &to, err));
    for (int i = 0; i < b->starts.n; i++) {
        md_dim *d = &t->dim[b->axes.v[i]];
        int64_t first, count;

        if (!from.known || !to.known || !b->steps.known) {
            MD_TRY(md_infer__fresh(c, d, err));
        } else if (b->starts.known && b->ends.known && md_dim_is_const(*d)) {
            resolve(b, i, d->k, &first, &count);
            *d = MD_DIM(count);
        } else {
            MD_TRY(
                count_symbolic(c, d, from.v[i], to.v[i], b->steps.v[i], err));
        }
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    bounds b;
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(read_bounds(&b, c, err));
    t = *in;
    if (!in->has_rank || !b.axes.known || b.starts.n < 0 || b.ends.n < 0 ||
        b.steps.n < 0) {
        for (int i = 0; in->has_rank && i < in->rank; i++)
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    for (int i = 0; !b.steps.known && i < MD_INTS_MAX; i++)
        b.steps.v[i] = 1; /* for the check that none is 0 */
    MD_TRY(complete(&b, in->rank, err));
    MD_TRY(slice_dims(c, &t, &b, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    md_infer c;
    bounds b;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_bounds(&b, &c, err));
    MD_TRY(complete(&b, in->rank, err));
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, in);
    for (int i = 0; i < b.starts.n; i++) {
        int axis = (int)b.axes.v[i];
        int64_t first, count;

        resolve(&b, i, in->dim[axis], &first, &count);
        from.at += first * from.stride[axis];
        /* a step beyond the axis is never taken */
        from.stride[axis] *= count > 1 ? b.steps.v[i] : 0;
    }
    md_exec__move(x, &to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_slice = {
    .domain = "",
    .name = "Slice",
    .since = 1,
    .in_min = 1,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = md_grad_moved,
};
