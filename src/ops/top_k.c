/* The k largest (or smallest) along an axis; of equals the first first. */
#include <math.h>
#include <stdlib.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_ints k = { .known = true, .n = 1 };
    md_type t;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__moved(c, "k", 10, 1, err));
    k.v[0] = md_node_attr_i(c->node, "k", -1);
    if (c->opset >= 10) {
        MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
        MD_TRY(md_infer__input_ints(c, 1, &k, err));
        MD_TRY(md_infer__length(c->in[1], MD_DIM(1), "k", err));
    }
    if (k.known && k.v[0] < 0)
        return md_fail(err, MD_INVALID, "k is %lld", (long long)k.v[0]);
    t = *in;
    if (in->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", -1),
                                 in->rank, err));
        if (k.known && md_dim_is_const(in->dim[axis]) &&
            k.v[0] > in->dim[axis].k)
            return md_fail(err, MD_INVALID, "k is %lld for an axis of %lld",
                           (long long)k.v[0], (long long)in->dim[axis].k);
        t.dim[axis] = MD_DIM(k.v[0]);
        if (!k.known)
            MD_TRY(md_infer__fresh(c, &t.dim[axis], err));
    }
    md_infer__give(c, 0, &t);
    t.dtype = MD_DTYPE_I64;
    md_infer__give(c, 1, &t);
    return MD_OK;
}

typedef struct entry {
    int64_t key; /* integers, turned so that larger comes first; NaN's place */
    double v;    /* other floats, the same way */
    int64_t i;
} entry;

static int descending(const void *pa, const void *pb)
{
    const entry *a = pa, *b = pb;

    if (a->key != b->key)
        return a->key > b->key ? -1 : 1;
    if (a->v != b->v)
        return a->v > b->v ? -1 : 1;
    return a->i < b->i ? -1 : a->i > b->i;
}

/* NaN counts as the largest.  ~v turns the order of integers without overflow; adding 2^63 orders uint64
 * as int64. */
static entry read(const md_tensor *t, int64_t at, int64_t i, bool largest)
{
    entry e = { .i = i };

    if (md_dtype_is_float(t->dtype)) {
        double v = md_tensor_get_f64(t, at);

        if (isnan(v))
            e.key = largest ? 1 : -1;
        else
            e.v = largest ? v : -v;
        return e;
    }
    e.key = md_tensor_get_i64(t, at);
    if (t->dtype == MD_DTYPE_U64)
        e.key = (int64_t)((uint64_t)e.key ^ UINT64_C(1) << 63);
    e.key = largest ? e.key : ~e.key;
    return e;
}

static md_status compute(md_exec *x, md_tensor **out, md_arena *ar,
                         md_error *err)
{
    bool largest = md_node_attr_i(x->node, "largest", 1) != 0;
    const md_tensor *in = x->in[0], *shape = out[0] ? out[0] : out[1];
    md_shape one = { 0 };
    int64_t n, k, inner, rows;
    entry *row;
    int axis;

    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             in->shape.rank, err));
    n = in->shape.dim[axis];
    k = shape->shape.dim[axis];
    inner = md_shape_span(&in->shape, axis + 1, in->shape.rank);
    rows = md_shape_span(&in->shape, 0, axis) * inner;
    MD_TRY(md_exec__scratch(&row, ar, n, sizeof(*row), err));
    for (int64_t r = 0; r < rows && k > 0; r++) {
        int64_t base = r / inner * n * inner + r % inner;
        int64_t to_at = r / inner * k * inner + r % inner;

        for (int64_t i = 0; i < n; i++)
            row[i] = read(in, base + i * inner, i, largest);
        qsort(row, (size_t)n, sizeof(*row), descending);
        for (int64_t i = 0; i < k; i++) {
            md_place to = { .t = out[0], .at = to_at + i * inner };
            md_place from = { .t = (md_tensor *)in,
                              .at = base + row[i].i * inner };

            if (out[0])
                md_move(&to, &from, &one);
            if (out[1])
                ((int64_t *)out[1]->data)[to_at + i * inner] = row[i].i;
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[2];
    md_arena ar;
    md_status s = MD_OK;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    md_arena_init(&ar, x->alloc, 0);
    if (out[0] || out[1])
        s = compute(x, out, &ar, err);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_top_k = {
    .domain = "",
    .name = "TopK",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 2,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
