/* The k largest (or smallest) along an axis; of equals the first first. */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

/* k, of an attribute or an input. */
static md_status read_k(const md_infer *c, md_dims *k, md_error *err)
{
    *k = (md_dims){ .known = true, .n = 1 };
    MD_TRY(md_infer__moved(c, "k", 10, 1, err));
    k->v[0] = MD_DIM(md_node_attr_i(c->node, "k", -1));
    if (c->opset >= 10) {
        MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
        MD_TRY(md_infer__input_dims(c, 1, k, err));
        MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "k", err));
    }
    if (k->known && md_dim_is_const(k->v[0]) && k->v[0].k < 0)
        return md_fail(err, MD_INVALID, "k is %lld", (long long)k->v[0].k);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_dim unused;
    md_dims k;
    md_type t;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(read_k(c, &k, err));
    t = *in;
    if (in->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", -1),
                                 in->rank, err));
        if (!k.known) {
            MD_TRY(md_infer__fresh(c, &t.dim[axis], err));
        } else if (md_dim_is_const(k.v[0]) && md_dim_is_const(in->dim[axis]) &&
                   k.v[0].k > in->dim[axis].k) {
            return md_fail(err, MD_INVALID, "k is %lld for an axis of %lld",
                           (long long)k.v[0].k, (long long)in->dim[axis].k);
        } else {
            MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, k.v[0],
                                  MD_DIM(0), err));
            MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, in->dim[axis],
                                  k.v[0], err));
            t.dim[axis] = k.v[0];
        }
    }
    md_infer__give(c, 0, &t);
    t.dtype = MD_DTYPE_I64;
    md_infer__give(c, 1, &t);
    return MD_OK;
}

/* An element as an integer that orders as it does, and its index. */
typedef struct entry {
    int64_t key, i;
} entry;

typedef struct job {
    const md_tensor *in;
    md_tensor *value; /* NULL: not wanted */
    int64_t *index;   /* the same */
    int64_t n, k, inner;
    bool largest;
    entry *found; /* k of each row */
} job;

/* Bits of a double in the order of int64: -0 is 0, NaN the largest. */
static int64_t key_of(double v)
{
    int64_t bits;

    if (isnan(v))
        return INT64_MAX;
    v += 0.0;
    memcpy(&bits, &v, sizeof(bits));
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

/* The key of a float, or of an integer v of the type; the smallest are looked
 * for as the largest of ~key, which overflows nowhere. */
static int64_t key_f64(const job *j, double v)
{
    return j->largest ? key_of(v) : ~key_of(v);
}

static int64_t key_i64(const job *j, int64_t v)
{
    if (j->in->dtype == MD_DTYPE_U64)
        v = (int64_t)((uint64_t)v ^ UINT64_C(1) << 63);
    return j->largest ? v : ~v;
}

/* a comes before b in the result. */
static inline bool before(entry a, entry b)
{
    return a.key != b.key ? a.key > b.key : a.i < b.i;
}

/* Put e at place i of a heap of n, whose first entry is the last of all in the
 * result. */
static void sift(entry *heap, int64_t i, int64_t n, entry e)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child], heap[child + 1]))
            child++;
        if (!before(e, heap[child]))
            break;
        heap[i] = heap[child];
    }
    heap[i] = e;
}

/* Take e into the heap of the k found so far. */
static void take(entry *heap, int64_t k, entry e)
{
    if (e.i < k) {
        heap[e.i] = e;
        for (int64_t h = k / 2; e.i == k - 1 && h-- > 0;)
            sift(heap, h, k, heap[h]);
    } else if (e.key > heap[0].key) {
        sift(heap, 0, k, e);
    }
}

/* The first k of a row that begins at `at`.  Nearly all elements are only
 * compared with the last of those found so far: floats as such, since a key
 * costs more; NaN goes on. */
#define FIND(name, T)                                                          \
    static void name(const job *j, entry *heap, int64_t at)                    \
    {                                                                          \
        const T *x = (const T *)j->in->data + at;                              \
        T last = NAN;                                                          \
                                                                               \
        for (int64_t i = 0; i < j->n; i++) {                                   \
            T v = x[i * j->inner];                                             \
                                                                               \
            if (j->largest ? v <= last : v >= last)                            \
                continue;                                                      \
            take(heap, j->k, (entry){ key_f64(j, v), i });                     \
            if (i >= j->k - 1)                                                 \
                last = x[heap[0].i * j->inner];                                \
        }                                                                      \
    }
FIND(find_f32, float)
FIND(find_f64, double)

static void find_halves(const job *j, entry *heap, int64_t at)
{
    for (int64_t i = 0; i < j->n; i++) {
        double v;

        md_load_f64(&v, j->in, at + i * j->inner, 1);
        take(heap, j->k, (entry){ key_f64(j, v), i });
    }
}

static void find_i64(const job *j, entry *heap, int64_t at)
{
    for (int64_t i = 0; i < j->n; i++) {
        int64_t v;

        md_load_i64(&v, j->in, at + i * j->inner, 1);
        take(heap, j->k, (entry){ key_i64(j, v), i });
    }
}

static void find(const job *j, entry *heap, int64_t at)
{
    if (j->in->dtype == MD_DTYPE_F32)
        find_f32(j, heap, at);
    else if (j->in->dtype == MD_DTYPE_F64)
        find_f64(j, heap, at);
    else if (md_dtype_is_float(j->in->dtype))
        find_halves(j, heap, at);
    else
        find_i64(j, heap, at);
}

/* The heap in order: its first entry is the last of those left. */
static void sort(entry *heap, int64_t n)
{
    while (n-- > 1) {
        entry last = heap[n];

        heap[n] = heap[0];
        sift(heap, 0, n, last);
    }
}

/* Rows [from, to). */
static void find_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    size_t size = md_dtype_bits(j->in->dtype) / 8;
    const char *x = j->in->data;

    for (int64_t r = from; r < to; r++) {
        int64_t outer = r / j->inner, inner = r % j->inner;
        int64_t base = outer * j->n * j->inner + inner;
        int64_t at = outer * j->k * j->inner + inner;
        const entry *found = j->found + r * j->k;

        find(j, j->found + r * j->k, base);
        sort(j->found + r * j->k, j->k);
        for (int64_t i = 0; i < j->k; i++, at += j->inner) {
            if (j->value)
                memcpy((char *)j->value->data + (size_t)at * size,
                       x + (size_t)(base + found[i].i * j->inner) * size, size);
            if (j->index)
                j->index[at] = found[i].i;
        }
    }
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    const md_tensor *any = out[0] ? out[0] : out[1];
    job j = { .in = x->in[0],
              .value = out[0],
              .index = out[1] ? out[1]->data : NULL,
              .largest = md_node_attr_i(x->node, "largest", 1) != 0 };
    int64_t rows;
    int axis;

    if (!any)
        return MD_OK;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             s->rank, err));
    j.n = s->dim[axis];
    j.k = any->shape.dim[axis];
    j.inner = md_shape_span(s, axis + 1, s->rank);
    rows = md_tensor_n(any);
    if (rows == 0)
        return MD_OK;
    rows /= j.k;
    MD_TRY(md_exec__scratch(&j.found, ar, rows * j.k, sizeof(entry), err));
    md_exec__share(x, rows, 5.0 * (double)(j.n + j.k), find_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, 2, compute, err);
}

static void grad(md_grad *g)
{
    int64_t axis = md_node_attr_i(g->m.node, "axis", -1);
    md_part x = md_grad_in(g, 0);

    if (md_grad_of(g, 0) != MD_PART_NONE)
        md_grad_give(g, 0,
                     MD_GRAD_STEP(g, .op = "ScatterElements",
                                  .in = { md_grad_fill(g, x, 0),
                                          md_grad_out(g, 1), md_grad_of(g, 0) },
                                  .n_in = 3,
                                  .attr = { MD_GIVE_I("axis", axis) },
                                  .n_attr = 1));
}

const md_op md_op_top_k = {
    .domain = "",
    .name = "TopK",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 2,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
    .grad_needs = 1u << 1,
};
