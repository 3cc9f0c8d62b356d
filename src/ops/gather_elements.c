#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/attr.h"
#include "ops/common/data.h"
#include "ops/common/gather.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    t = *c->in[1];
    t.dtype = c->in[0]->dtype;
    if (c->in[0]->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 c->in[0]->rank, err));
        MD_TRY(md_infer__rank(c, 1, c->in[0]->rank, c->in[0]->rank, err));
    }
    for (int i = 0; c->in[0]->has_rank && t.has_rank && i < t.rank; i++) {
        md_dim a = t.dim[i], b = c->in[0]->dim[i];

        if (i != axis && md_dim_is_const(a) && md_dim_is_const(b) && a.k > b.k)
            return md_fail(err, MD_INVALID,
                           "indices reach %lld along axis %d of %lld",
                           (long long)a.k, i, (long long)b.k);
        if (i != axis)
            MD_TRY(md_infer__at_least(c, b, a, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in, *at;
    int64_t stride[MD_RANK_MAX];
    int axis;
    _Atomic int64_t bad; /* first element whose index is outside */
} job;

/* A row of the last axis: element i of y is the one of x at index[i] * step +
 * i * side; returns the first i whose index is outside, n for none. */
#define PICK(constant, step, side)                                             \
    case constant:                                                             \
        MD_UNROLL(4)                                                           \
        for (int64_t i = 0; i < n; i++) {                                      \
            const int64_t v = index[i] + (index[i] < 0 ? size : 0);            \
                                                                               \
            if ((uint64_t)v >= (uint64_t)size) /* below 0 too */               \
                return i;                                                      \
            memcpy(y + i * (constant),                                         \
                   x + (v * (step) + i * (side)) * (constant), constant);      \
        }                                                                      \
        return n;
#define PICKS(step, side)                                                      \
    switch (bytes) {                                                           \
        PICK(1, step, side)                                                    \
        PICK(2, step, side)                                                    \
        PICK(4, step, side)                                                    \
        PICK(8, step, side)                                                    \
        PICK(16, step, side)                                                   \
    default:                                                                   \
        assert(false); /* no type has elements of another size */              \
        return 0;                                                              \
    }

/* From a row: along the last axis. */
static int64_t pick_near(char *y, const char *x, const int64_t *index,
                         int64_t n, int64_t size, int64_t bytes)
{
    PICKS(1, 0)
}

/* From a column each: along another one. */
static int64_t pick_far(char *y, const char *x, const int64_t *index, int64_t n,
                        int64_t size, int64_t step, int64_t bytes)
{
    PICKS(step, 1)
}

/* The same of elements below 8 bits. */
static int64_t pick_packed(const job *j, int64_t to, int64_t from,
                           const int64_t *index, int64_t n)
{
    int64_t size = j->in->shape.dim[j->axis], step = j->stride[j->axis];
    md_place y = { .t = j->out }, x = { .t = (md_tensor *)j->in };
    bool side = j->axis != j->in->shape.rank - 1;

    for (int64_t i = 0; i < n; i++) {
        int64_t v = index[i] < 0 ? index[i] + size : index[i];

        if (v < 0 || v >= size)
            return i;
        y.at = to + i;
        x.at = from + v * step + i * side;
        md_move(&y, &x, &(md_shape){ 0 });
    }
    return n;
}

/* Elements [at, at + n) of the result, all of one row. */
static int64_t gather_row(const job *j, int64_t at, int64_t n)
{
    const md_shape *s = &j->at->shape;
    int last = s->rank - 1;
    int64_t bytes = md_dtype_bits(j->in->dtype) / 8;
    int64_t size = j->in->shape.dim[j->axis];
    const char *x = j->in->data;
    char *y = j->out->data;
    int64_t loaded[MD_CHUNK], from = 0, left = at;
    const int64_t *index = loaded;

    for (int d = last; d >= 0; d--) { /* of the axis the index tells */
        from += d == j->axis ? 0 : left % s->dim[d] * j->stride[d];
        left /= s->dim[d];
    }
    if (j->at->dtype == MD_DTYPE_I64)
        index = (const int64_t *)j->at->data + at;
    else
        md_load_i64(loaded, j->at, at, n);
    if (bytes == 0)
        return pick_packed(j, at, from, index, n);
    y += at * bytes;
    x += from * bytes;
    if (j->axis == last)
        return pick_near(y, x, index, n, size, bytes);
    return pick_far(y, x, index, n, size, j->stride[j->axis], bytes);
}

static void gather_part(void *ctx, int64_t from, int64_t to)
{
    job *j = ctx;
    const md_shape *s = &j->at->shape;
    int64_t row = s->dim[s->rank - 1];
    int64_t most = j->at->dtype == MD_DTYPE_I64 ? row : MD_CHUNK;

    for (int64_t n; from < to; from += n) {
        int64_t done;

        n = md_min_i64(md_min_i64(to - from, row - from % row), most);
        done = gather_row(j, from, n);
        if (done < n) {
            int64_t bad = j->bad;

            while (from + done < bad &&
                   !atomic_compare_exchange_weak(&j->bad, &bad, from + done))
                ;
            return;
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t n = md_tensor_n(out), k;
    job j = { .out = out, .in = x->in[0], .at = x->in[1], .bad = n };

    (void)ar;
    MD_TRY(md_axis_normalize(&j.axis, md_node_attr_i(x->node, "axis", 0),
                             in->rank, err));
    md_shape_strides(j.stride, in);
    if (md_dtype_bits(out->dtype) < 8) /* elements share bytes */
        gather_part(&j, 0, n);
    else
        md_exec__share(x, n, 1.0, gather_part, &j);
    if (j.bad < n)
        return md_gather__index(&k, j.at, j.bad, in->dim[j.axis], err);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    static const char *const keep[] = { "axis", NULL };
    md_part x = md_grad_in(g, 0);

    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "ScatterElements",
                              .in = { md_grad_fill(g, x, 0), md_grad_in(g, 1),
                                      md_grad_of(g, 0) },
                              .n_in = 3,
                              .attr = { MD_GIVE_S("reduction", "add") },
                              .n_attr = 1, .keep = keep));
}

const md_op md_op_gather_elements = {
    .domain = "",
    .name = "GatherElements",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = grad,
};
