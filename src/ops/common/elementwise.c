#include "ops/common/elementwise.h"

#include <assert.h>
#include <string.h>

#include "kernels/broadcast.h"
#include "kernels/vcast.h"

md_status md_unary__infer(const md_infer *c, const md_unary *u, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, u->types, err));
    md_infer__like(c, 0, 0, u->result ? u->result : md_infer__dtype(c, 0));
    return MD_OK;
}

typedef struct unary_job {
    const md_unary *u;
    const md_tensor *in;
    md_tensor *out;
    double p[MD_UNARY_PARAMS];
    const md_array_f64_kernel *kernel;
} unary_job;

static void unary_f64(void *ctx, int64_t from, int64_t to)
{
    const unary_job *j = ctx;
    double v[MD_CHUNK];

    for (int64_t at = from; at < to; at += MD_CHUNK) {
        int64_t m = md_min_i64(to - at, MD_CHUNK);

        md_load_f64(v, j->in, at, m);
        for (int64_t k = 0; k < m; k++)
            v[k] = j->u->f(v[k], j->p);
        md_store_f64(j->out, at, v, m);
    }
}

static void unary_map(void *ctx, int64_t from, int64_t to)
{
    const unary_job *j = ctx;

    j->kernel->map(j->u->map, (double *)j->out->data + from,
                   (const double *)j->in->data + from, (size_t)(to - from),
                   j->p[0], j->p[1]);
}

static md_status unary_whole(const md_exec *x, const md_unary *u,
                             md_tensor *out, md_error *err)
{
    md_binary op[MD_UNARY_WHOLE] = { 0 };
    md_tensor with[MD_UNARY_WHOLE];
    md_link links[MD_UNARY_WHOLE];
    uint64_t room[MD_UNARY_WHOLE];
    uint32_t n = 0;

    for (int i = 0; i < MD_UNARY_WHOLE && u->whole[i].op; i++) {
        if (u->whole[i].with < 0 && !md_dtype_is_signed(out->dtype))
            continue;
        op[n].op = u->whole[i].op;
        with[n] = (md_tensor){ .dtype = out->dtype, .data = &room[n] };
        md_tensor_set_i64(&with[n], 0, u->whole[i].with);
        links[n] = (md_link){ &op[n], &with[n] };
        n++;
    }
    if (n == 0)
        md_move_all(out, x->in[0]);
    return md_binary__chain(x, out, x->in[0], links, n, err);
}

md_status md_unary__run(md_exec *x, const md_unary *u, md_infer_fn *infer,
                        md_error *err)
{
    unary_job j = { .u = u, .in = x->in[0] };

    MD_TRY(md_exec__outputs(x, infer, &j.out, 1, err));
    if (!j.out)
        return MD_OK;
    for (int i = 0; i < MD_UNARY_PARAMS && u->param[i].attr; i++)
        j.p[i] =
            md_node_attr_f(x->node, u->param[i].attr, u->param[i].otherwise);
    if (u->whole[0].op && !md_dtype_is_float(j.in->dtype))
        return unary_whole(x, u, j.out, err);
    j.kernel = md_array_f64_select(x->cpu);
    if (u->map && j.in->dtype == MD_DTYPE_F64)
        md_exec__share(x, md_tensor_n(j.out), 1.0, unary_map, &j);
    else
        md_exec__share(x, md_tensor_n(j.out), 10.0, unary_f64, &j);
    return MD_OK;
}

void md_rows__begin(md_rows *r, const md_shape *out, int n_in,
                    const md_tensor *const *in)
{
    int inner = out->rank - 1;

    *r = (md_rows){ .shape = *out, .n_in = n_in, .row = -1, .n = 1 };
    if (inner >= 0)
        r->n = out->dim[inner];
    r->n_rows = r->n ? md_shape_n(out) / r->n : 0;
    for (int k = 0; k < n_in; k++) {
        md_shape_broadcast_strides(r->stride[k], &in[k]->shape, out);
        r->step[k] = inner >= 0 ? r->stride[k][inner] : 0;
    }
}

bool md_rows__next(md_rows *r)
{
    if (++r->row >= r->n_rows)
        return false;
    if (r->begun)
        (void)md_step_index(r->index, r->shape.dim, r->shape.rank - 1);
    r->begun = true;
    for (int k = 0; k < r->n_in; k++) {
        r->at[k] = 0;
        for (int d = 0; d < r->shape.rank - 1; d++)
            r->at[k] += r->index[d] * r->stride[k][d];
    }
    return true;
}

void md_rows__seek(md_rows *r, int64_t row)
{
    r->row = row - 1;
    r->begun = false;
    for (int d = r->shape.rank - 1; d-- > 0;) {
        r->index[d] = row % r->shape.dim[d];
        row /= r->shape.dim[d];
    }
}

enum {
    BLOCK = 1024, /* elements that are converted at once */
    SPREAD = 256, /* copies of the first operand, which leave the first cache
                   * to the others */
    STEP = 8192   /* elements that go through all links before the next do */
};

/* One link, ready to run over any part of the output. */
typedef struct step {
    const md_binary *op;
    md_broadcast shape;
    md_vbinary_fn *fn;     /* NULL: rows of 64 bits */
    md_vcast_fn *widen[2]; /* operands to float32, where that is computed in;
                            * NULL: they are */
    md_vcast_fn *narrow;   /* its result; NULL: as it is */
    bool halves;           /* computed in float32 */
    bool floats;           /* rows of doubles */
    md_tensor *out;
    const md_tensor *in[2];
    int64_t out_size, in_size[2]; /* of an element */
} step;

/* n copies of the element at p. */
static void spread(void *to, const void *p, int64_t size, int64_t n)
{
    int64_t done = size;

    memmove(to, p, (size_t)size); /* it may be there already */
    while (done < n * size) {
        int64_t more = md_min_i64(done, n * size - done);

        memcpy((char *)to + done, to, (size_t)more);
        done += more;
    }
}

static const char *operand(const step *s, const md_broadcast_row *r, int k)
{
    return (const char *)s->in[k]->data + (k ? r->b : r->a) * s->in_size[k];
}

static void typed_row(void *ctx, const md_broadcast_row *r)
{
    const step *s = ctx;
    const int64_t n = (int64_t)r->n, size = s->in_size[0];
    const char *a = operand(s, r, 0), *b = operand(s, r, 1);
    char *y = (char *)s->out->data + r->y * s->out_size;
    uint64_t same[SPREAD];

    if (r->a_step) {
        s->fn(y, a, b, r->n, r->b_step);
        return;
    }
    spread(same, a, size, md_min_i64(n, SPREAD));
    for (int64_t at = 0; at < n; at += SPREAD)
        s->fn(y + at * s->out_size, same,
              r->b_step ? b + at * s->in_size[1] : b,
              (size_t)md_min_i64(n - at, SPREAD), r->b_step);
}

/* m elements of operand k from element `at` of the row on, as float32. */
static const float *as_floats(float *to, const step *s,
                              const md_broadcast_row *r, int k, int64_t at,
                              int64_t m)
{
    const char *p = operand(s, r, k) + at * s->in_size[k];

    if (!s->widen[k])
        return (const float *)(const void *)p;
    s->widen[k](to, p, (size_t)m);
    return to;
}

static void half_row(void *ctx, const md_broadcast_row *r)
{
    const step *s = ctx;
    const int64_t n = (int64_t)r->n;
    float first[BLOCK], second[BLOCK], v[BLOCK];
    const float *a = first, *b = second;

    if (!r->a_step)
        spread(first, as_floats(first, s, r, 0, 0, 1), sizeof(*first),
               md_min_i64(n, BLOCK));
    if (!r->b_step)
        b = as_floats(second, s, r, 1, 0, 1);
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = md_min_i64(n - at, BLOCK);
        char *y = (char *)s->out->data + (r->y + at) * s->out_size;

        if (r->a_step)
            a = as_floats(first, s, r, 0, at, m);
        if (r->b_step)
            b = as_floats(second, s, r, 1, at, m);
        s->fn(s->narrow ? (void *)v : y, a, b, (size_t)m, r->b_step);
        if (s->narrow)
            s->narrow(y, v, (size_t)m);
    }
}

static void f64_row(void *ctx, const md_broadcast_row *r)
{
    const step *s = ctx;
    const int64_t n = (int64_t)r->n;
    double a[MD_CHUNK], b[MD_CHUNK];

    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        const int64_t m = md_min_i64(n - at, MD_CHUNK);

        md_load_f64(a, s->in[0], r->a + at * r->a_step, r->a_step ? m : 1);
        md_load_f64(b, s->in[1], r->b + at * r->b_step, r->b_step ? m : 1);
        for (int64_t i = 1; i < m && !r->a_step; i++)
            a[i] = a[0];
        for (int64_t i = 1; i < m && !r->b_step; i++)
            b[i] = b[0];
        s->op->f(a, a, b, m);
        md_store_f64(s->out, r->y + at, a, m);
    }
}

static void i64_row(void *ctx, const md_broadcast_row *r)
{
    const step *s = ctx;
    const int64_t n = (int64_t)r->n;
    int64_t a[MD_CHUNK], b[MD_CHUNK];

    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        const int64_t m = md_min_i64(n - at, MD_CHUNK);

        md_load_i64(a, s->in[0], r->a + at * r->a_step, r->a_step ? m : 1);
        md_load_i64(b, s->in[1], r->b + at * r->b_step, r->b_step ? m : 1);
        for (int64_t i = 1; i < m && !r->a_step; i++)
            a[i] = a[0];
        for (int64_t i = 1; i < m && !r->b_step; i++)
            b[i] = b[0];
        if (s->op->u && s->in[1]->dtype == MD_DTYPE_U64)
            s->op->u((uint64_t *)a, (const uint64_t *)a, (const uint64_t *)b,
                     m);
        else
            s->op->i(a, a, b, m);
        md_store_i64(s->out, r->y + at, a, m);
    }
}

/* Strides of both operands over the output's axes, merged. */
static void set_shape(step *s)
{
    const md_shape *y = &s->out->shape;
    int64_t dims[MD_RANK_MAX] = { 1 }, a[MD_RANK_MAX] = { 0 };
    int64_t b[MD_RANK_MAX] = { 0 };

    if (y->rank > 0) { /* a scalar is a row of one */
        memcpy(dims, y->dim, sizeof(dims[0]) * (size_t)y->rank);
        md_shape_broadcast_strides(a, &s->in[0]->shape, y);
        md_shape_broadcast_strides(b, &s->in[1]->shape, y);
    }
    md_broadcast_init(&s->shape, y->rank > 0 ? y->rank : 1, dims, a, b);
}

/* Choose the loops. */
static void set_loops(step *s, uint32_t cpu)
{
    const md_vbinary_kernel *k = md_vbinary_select(cpu);
    md_vcast_find *cast = md_vcast_select(cpu)->find;
    md_dtype type = s->in[0]->dtype;

    s->halves = s->op->op && (type == MD_DTYPE_F16 || type == MD_DTYPE_BF16);
    s->fn =
        s->op->op ? k->find(s->op->op, s->halves ? MD_DTYPE_F32 : type) : NULL;
    if (s->halves) {
        for (int i = 0; i < 2; i++)
            s->widen[i] = s->in[i]->dtype == MD_DTYPE_F32
                              ? NULL
                              : cast(MD_DTYPE_F32, s->in[i]->dtype);
        if (s->out->dtype != MD_DTYPE_BOOL)
            s->narrow = cast(s->out->dtype, MD_DTYPE_F32);
    }
    s->floats = !s->op->i || md_dtype_is_float(type) ||
                (s->op->mixed && md_dtype_is_float(s->in[1]->dtype));
    assert(s->fn || (s->floats ? s->op->f != NULL : s->op->i != NULL));
}

static step make_step(const md_exec *x, md_tensor *out, const md_tensor *a,
                      const md_link *link)
{
    bool swapped = link->op->swapped;
    step s = { .op = link->op,
               .out = out,
               .in = { swapped ? link->b : a, swapped ? a : link->b } };

    s.out_size = md_dtype_bits(out->dtype) / 8;
    for (int k = 0; k < 2; k++)
        s.in_size[k] = md_dtype_bits(s.in[k]->dtype) / 8;
    set_shape(&s);
    set_loops(&s, x->cpu);
    return s;
}

typedef struct chain {
    const step *steps;
    uint32_t n;
} chain;

static void chain_part(void *ctx, int64_t from, int64_t to)
{
    const chain *c = ctx;
    int64_t part = c->n > 1 ? STEP : to - from;

    for (int64_t at = from; at < to; at += part) {
        for (uint32_t i = 0; i < c->n; i++) {
            step s = c->steps[i];

            md_broadcast_range(&s.shape, at, md_min_i64(to, at + part),
                               s.halves   ? half_row
                               : s.fn     ? typed_row
                               : s.floats ? f64_row
                                          : i64_row,
                               &s);
        }
    }
}

md_status md_binary__chain(const md_exec *x, md_tensor *out, const md_tensor *a,
                           const md_link *links, uint32_t n, md_error *err)
{
    double cost = 0.0;
    md_arena ar;
    step *steps;
    md_status s;

    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__scratch(&steps, &ar, n, sizeof(*steps), err);
    for (uint32_t i = 0; i < n && s == MD_OK; i++) {
        steps[i] = make_step(x, out, i ? out : a, &links[i]);
        cost += steps[i].fn ? 0.5 : 10.0;
    }
    if (s == MD_OK && n > 0)
        md_exec__share(x, md_tensor_n(out), cost, chain_part,
                       &(chain){ steps, n });
    md_arena_release(&ar);
    return s;
}

/* Where, before opset 7, the first axis of input 1 lies in input 0. */
static md_status old_axis(int64_t *out, const md_node *n, const md_binary *b,
                          int rank, int rank_1, md_error *err)
{
    bool spreads = b->channels || md_node_attr_i(n, "broadcast", 0);

    *out = md_node_attr_i(n, "axis", rank - rank_1);
    if (b->channels && rank_1 == 1 && rank > 1)
        *out = 1;
    if (rank != rank_1 && !spreads)
        return md_fail(err, MD_INVALID,
                       "inputs have ranks %d and %d, broadcast is not set",
                       rank, rank_1);
    if (*out < 0 || *out > rank - rank_1)
        return md_fail(err, MD_INVALID,
                       "input 1 of rank %d does not lie in rank %d from axis "
                       "%lld on",
                       rank_1, rank, (long long)*out);
    return MD_OK;
}

/* The result has the shape of input 0. */
static md_status infer_old(const md_infer *c, const md_binary *b, md_type *t,
                           md_error *err)
{
    bool spreads = b->channels || md_node_attr_i(c->node, "broadcast", 0);
    const md_type *x = c->in[0], *y = c->in[1];
    md_dtype dtype = t->dtype;
    int64_t axis = 0;

    *t = *x;
    t->dtype = dtype;
    if (!x->has_rank || !y->has_rank)
        return MD_OK;
    MD_TRY(old_axis(&axis, c->node, b, x->rank, y->rank, err));
    for (int i = 0; i < y->rank; i++) {
        md_dim d = y->dim[i];

        if (spreads && !md_dim_is_const(d))
            MD_TRY(md_infer__spreads(c, d, x->dim[axis + i], err));
        else if (!spreads || d.k != 1)
            MD_TRY(md_infer__must_equal(c, d, x->dim[axis + i],
                                        "a dimension of input 1", err));
    }
    return MD_OK;
}

md_status md_binary__infer(const md_infer *c, const md_binary *b, md_error *err)
{
    md_type t = { .dtype = b->result };

    MD_TRY(md_infer__need(c, 0, b->types, err));
    MD_TRY(md_infer__need(c, 1, b->types, err));
    if (!b->mixed)
        MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    if (!t.dtype)
        t.dtype = c->in[0]->dtype;
    if (!t.dtype && !b->mixed)
        t.dtype = c->in[1]->dtype;
    if (c->opset < 7)
        MD_TRY(infer_old(c, b, &t, err));
    else
        MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[1], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_binary__run(md_exec *x, const md_binary *b, md_infer_fn *infer,
                         md_error *err)
{
    md_tensor *out, y;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    y = *x->in[1];
    if (x->opset < 7) { /* ones behind its axes, as since opset 7 */
        int64_t axis;

        MD_TRY(old_axis(&axis, x->node, b, out->shape.rank, y.shape.rank, err));
        while (axis + x->in[1]->shape.rank < out->shape.rank) {
            y.shape.dim[y.shape.rank++] = 1;
            axis++;
        }
    }
    return md_binary__chain(x, out, x->in[0], &(md_link){ b, &y }, 1, err);
}

static md_status check_same_shape(const md_infer *c, const md_type *a,
                                  uint32_t i, md_error *err)
{
    const md_type *b = c->in[i];

    if (!a->has_rank || !b->has_rank)
        return MD_OK;
    if (a->rank != b->rank)
        return md_fail(err, MD_INVALID, "input %u has rank %d, %d expected",
                       (unsigned)i, b->rank, a->rank);
    for (int d = 0; d < a->rank; d++)
        MD_TRY(md_infer__must_equal(c, b->dim[d], a->dim[d],
                                    "a dimension of the inputs", err));
    return MD_OK;
}

md_status md_variadic__infer(const md_infer *c, const md_binary *b,
                             md_error *err)
{
    md_type t;

    MD_TRY(md_infer__need(c, 0, b->types, err));
    t = *c->in[0];
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, b->types, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        if (!t.dtype)
            t.dtype = c->in[i]->dtype;
        if (c->opset < 8)
            MD_TRY(check_same_shape(c, &t, i, err));
        MD_TRY(md_infer__broadcast(c, &t, &t, c->in[i], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_variadic__run(md_exec *x, const md_binary *b, md_infer_fn *infer,
                           const md_link *last, md_error *err)
{
    uint32_t n = x->node->n_in - 1;
    md_tensor *out;
    md_link *links;
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    if (n == 0) {
        md_move_all(out, x->in[0]);
        return MD_OK;
    }
    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__scratch(&links, &ar, n + 1, sizeof(*links), err);
    for (uint32_t i = 0; i < n && s == MD_OK; i++)
        links[i] = (md_link){ b, x->in[i + 1] };
    if (s == MD_OK) {
        if (last)
            links[n++] = *last;
        s = md_binary__chain(x, out, x->in[0], links, n, err);
    }
    md_arena_release(&ar);
    return s;
}
