/* The k largest (or smallest) along an axis; of equals the first first. */
#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/array_f64.h"
#include "kernels/reduce_f32.h"
#include "kernels/vcast.h"
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
    /* Elements of a block of a row, of which only the largest is looked at
     * where that is too small; 0: all are looked at.  The largest of each
     * block of each row: floats or, of float64, doubles. */
    int64_t block;
    void *peaks;
    md_vcast_fn *widen; /* halves to floats */
    const md_reduce_f32_kernel *reduce;
    const md_array_f64_kernel *array;
} job;

/* The n <= k first of what was looked at; when they are k, a heap whose first
 * entry is the last of them in the result, and its value. */
typedef struct heap {
    entry *e;
    int64_t n, k;
    float last_float;
    double last_double;
} heap;

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

/* The double of a key; what is not a number has the key of the largest. */
static double of_key(int64_t key)
{
    const int64_t bits = key < 0 ? key ^ INT64_MAX : key;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* The key of a float, or of an integer v of the type; the smallest are looked
 * for as the largest of ~key, which overflows nowhere. */
static int64_t key_f64(const job *j, double v)
{
    return j->largest ? key_of(v) : ~key_of(v);
}

static double value_of(const job *j, int64_t key)
{
    return of_key(j->largest ? key : ~key);
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

/* Put e at place i of a heap of n. */
static void sift(entry *h, int64_t i, int64_t n, entry e)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(h[child], h[child + 1]))
            child++;
        if (!before(e, h[child]))
            break;
        h[i] = h[child];
    }
    h[i] = e;
}

/* Take e, whose index is above all in the heap. */
static void take(heap *h, entry e)
{
    if (h->n == h->k) {
        if (e.key > h->e[0].key)
            sift(h->e, 0, h->k, e);
        return;
    }
    h->e[h->n++] = e;
    for (int64_t i = h->k / 2; h->n == h->k && i-- > 0;)
        sift(h->e, i, h->k, h->e[i]);
}

/* Elements at x, `step` apart, whose indices are [from, to).  Nearly all are
 * only compared with the last of those found so far: floats as such, since a
 * key costs more; NaN goes on. */
#define SCAN(T)                                                                \
    static MD_ALWAYS_INLINE void scan_as_##T(                                  \
        const job *j, heap *h, const T *x, int64_t step, int64_t from,         \
        int64_t to, const bool largest)                                        \
    {                                                                          \
        T last = h->n == h->k ? h->last_##T : (T)NAN;                          \
                                                                               \
        for (int64_t i = from; i < to; i++, x += step) {                       \
            const T v = *x;                                                    \
                                                                               \
            if (MD_LIKELY(largest ? v <= last : v >= last))                    \
                continue;                                                      \
            take(h, (entry){ key_f64(j, v), i });                              \
            if (h->n == h->k)                                                  \
                last = (T)value_of(j, h->e[0].key);                            \
        }                                                                      \
        h->last_##T = last;                                                    \
    }                                                                          \
    static void scan_##T(const job *j, heap *h, const T *x, int64_t step,      \
                         int64_t from, int64_t to)                             \
    {                                                                          \
        if (j->largest)                                                        \
            scan_as_##T(j, h, x, step, from, to, true);                        \
        else                                                                   \
            scan_as_##T(j, h, x, step, from, to, false);                       \
    }
SCAN(float)
SCAN(double)

/* The largest of each block of a row at x. */
static void find_peaks(const job *j, void *peaks, const char *x)
{
    const int64_t size = md_dtype_bits(j->in->dtype) / 8, block = j->block;
    const int64_t n = j->n / block, step = MD_CHUNK / block;
    md_reduce_f32_args a = { .y = peaks,
                             .x = (const void *)x,
                             .outer = n,
                             .m = 1,
                             .n = block,
                             .inner = 1,
                             .outer_stride = block,
                             .n_stride = 1,
                             .op = j->largest ? MD_REDUCE_MAX : MD_REDUCE_MIN };
    float v[MD_CHUNK];

    if (j->in->dtype == MD_DTYPE_F64) {
        const md_fold_f64 op = j->largest ? MD_FOLD_F64_MAX : MD_FOLD_F64_MIN;

        for (int64_t b = 0; b < n; b++)
            ((double *)peaks)[b] = md_fold_f64_start(op);
        j->array->fold_rows(op, peaks, (const double *)x, (size_t)n,
                            (size_t)block, (size_t)block, 0.0);
        return;
    }
    if (!j->widen) {
        j->reduce->run(&a);
        return;
    }
    for (int64_t b = 0; b < n; b += step) {
        a.outer = md_min_i64(step, n - b);
        j->widen(v, x + b * block * size, (size_t)(a.outer * block));
        a.x = v;
        j->reduce->run(&a);
        a.y += a.outer;
    }
}

/* Elements [from, to) of a row of floats at x. */
static void scan(const job *j, heap *h, const char *x, int64_t from, int64_t to)
{
    const int64_t size = md_dtype_bits(j->in->dtype) / 8;
    float v[MD_CHUNK];

    x += from * size;
    if (j->in->dtype == MD_DTYPE_F64)
        scan_double(j, h, (const double *)x, 1, from, to);
    else if (!j->widen)
        scan_float(j, h, (const float *)x, 1, from, to);
    for (int64_t m; j->widen && from < to; from += m, x += m * size) {
        m = md_min_i64(to - from, MD_CHUNK);
        j->widen(v, x, (size_t)m);
        scan_float(j, h, v, 1, from, from + m);
    }
}

/* A row of floats at x by blocks.  The k-th of the blocks' largest is not
 * beyond the k-th of all, so what is behind it need not be looked at.  A block
 * with a NaN tells nothing of its smallest. */
static void find_blocks(const job *j, heap *h, void *peaks, const char *x)
{
    const int64_t block = j->block, n = j->n / block;
    const bool wide = j->in->dtype == MD_DTYPE_F64;
    heap top = *h;
    int64_t least;

    find_peaks(j, peaks, x);
    if (wide)
        scan_double(j, &top, peaks, 1, 0, n);
    else
        scan_float(j, &top, peaks, 1, 0, n);
    least = top.e[0].key;
    for (int64_t b = 0; b < n; b++) {
        const double v =
            wide ? ((double *)peaks)[b] : (double)((float *)peaks)[b];

        if (isnan(v) || key_f64(j, v) >= least)
            scan(j, h, x, b * block, (b + 1) * block);
    }
    scan(j, h, x, n * block, j->n);
}

/* Integers v whose indices are [from, to): their keys differ from them by
 * `flip`. */
static void scan_i64(heap *h, const int64_t *v, int64_t flip, int64_t from,
                     int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        const int64_t key = v[i - from] ^ flip;

        if (h->n < h->k || key > h->e[0].key)
            take(h, (entry){ key, i });
    }
}

/* Columns of halves, or integers: a piece at a time, or one. */
static void find_any(const job *j, heap *h, int64_t at)
{
    const bool floats = md_dtype_is_float(j->in->dtype);
    const int64_t step = j->inner == 1 ? MD_CHUNK : 1;
    double f[MD_CHUNK];
    int64_t w[MD_CHUNK];

    for (int64_t i = 0; i < j->n; i += step) {
        const int64_t m = md_min_i64(step, j->n - i);

        if (floats) {
            md_load_f64(f, j->in, at + i * j->inner, m);
            scan_double(j, h, f, 1, i, i + m);
        } else {
            md_load_i64(w, j->in, at + i * j->inner, m);
            scan_i64(h, w, key_i64(j, 0), i, i + m);
        }
    }
}

/* The first k of a row or column that begins at `at`. */
static void find(const job *j, heap *h, int64_t row, int64_t at)
{
    const md_dtype type = j->in->dtype;
    const size_t size = md_dtype_bits(type) / 8;
    const char *x = (const char *)j->in->data + (size_t)at * size;
    const int64_t blocks = j->block ? j->n / j->block : 0;
    const size_t peak = type == MD_DTYPE_F64 ? sizeof(double) : sizeof(float);

    if (j->block)
        find_blocks(j, h, (char *)j->peaks + (size_t)(row * blocks) * peak, x);
    else if (type == MD_DTYPE_F32)
        scan_float(j, h, (const float *)(const void *)x, j->inner, 0, j->n);
    else if (type == MD_DTYPE_F64)
        scan_double(j, h, (const double *)(const void *)x, j->inner, 0, j->n);
    else if (j->widen && j->inner == 1)
        scan(j, h, x, 0, j->n);
    else
        find_any(j, h, at);
}

/* The heap in order: its first entry is the last of those left. */
static void sort(entry *h, int64_t n)
{
    while (n-- > 1) {
        entry last = h[n];

        h[n] = h[0];
        sift(h, 0, n, last);
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
        entry *found = j->found + r * j->k;

        find(j, &(heap){ .e = found, .k = j->k }, r, base);
        sort(found, j->k);
        for (int64_t i = 0; i < j->k; i++, at += j->inner) {
            if (j->value)
                memcpy((char *)j->value->data + (size_t)at * size,
                       x + (size_t)(base + found[i].i * j->inner) * size, size);
            if (j->index)
                j->index[at] = found[i].i;
        }
    }
}

/* Elements of a block: with their square root of n / k the blocks and the
 * elements of those that are looked at are equally many. */
static int64_t block_of(int64_t n, int64_t k)
{
    int64_t block = 16;

    while (block < 64 && block * block * k < n)
        block *= 2;
    return n / block >= 4 * k ? block : 0;
}

/* Loops and scratch for rows of floats. */
static md_status set_loops(job *j, const md_exec *x, int64_t rows, md_arena *ar,
                           md_error *err)
{
    const md_dtype type = j->in->dtype;
    const bool wide = type == MD_DTYPE_F64;

    if (!md_dtype_is_float(type) || j->inner > 1)
        return MD_OK;
    if (!wide && type != MD_DTYPE_F32)
        j->widen = md_vcast_select(x->cpu)->find(MD_DTYPE_F32, type);
    j->reduce = md_reduce_f32_select(x->cpu);
    j->array = md_array_f64_select(x->cpu);
    j->block = block_of(j->n, j->k);
    if (j->block == 0)
        return MD_OK;
    return md_exec__scratch(&j->peaks, ar, rows * (j->n / j->block),
                            wide ? sizeof(double) : sizeof(float), err);
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
    MD_TRY(set_loops(&j, x, rows, ar, err));
    md_exec__share(x, rows,
                   (j.block ? 0.5 : 5.0) * (double)j.n + 5.0 * (double)j.k,
                   find_part, &j);
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
