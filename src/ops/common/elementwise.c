#include "ops/common/elementwise.h"

#include <assert.h>

md_status md_unary__infer(const md_infer *c, const md_unary *u, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, u->types, err));
    md_infer__like(c, 0, 0, u->result ? u->result : md_infer__dtype(c, 0));
    return MD_OK;
}

static void unary_f64(md_tensor *out, const md_tensor *in, const md_unary *u,
                      const double *p)
{
    int64_t n = md_tensor_n(in);
    double v[MD_CHUNK];

    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        md_load_f64(v, in, at, m);
        for (int64_t k = 0; k < m; k++)
            v[k] = u->f(v[k], p);
        md_store_f64(out, at, v, m);
    }
}

static void unary_i64(md_tensor *out, const md_tensor *in, const md_unary *u)
{
    int64_t n = md_tensor_n(in), v[MD_CHUNK];

    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        md_load_i64(v, in, at, m);
        for (int64_t k = 0; k < m; k++) {
            if (u->u && in->dtype == MD_DTYPE_U64)
                v[k] = (int64_t)u->u((uint64_t)v[k]);
            else
                v[k] = u->i(v[k]);
        }
        md_store_i64(out, at, v, m);
    }
}

md_status md_unary__run(md_exec *x, const md_unary *u, md_infer_fn *infer,
                        md_error *err)
{
    double p[MD_UNARY_PARAMS] = { 0 };
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    for (int i = 0; i < MD_UNARY_PARAMS && u->param[i].attr; i++)
        p[i] = md_node_attr_f(x->node, u->param[i].attr, u->param[i].otherwise);
    if (md_dtype_is_float(x->in[0]->dtype) || !u->i)
        unary_f64(out, x->in[0], u, p);
    else
        unary_i64(out, x->in[0], u);
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
    if (r->row > 0)
        (void)md_step_index(r->index, r->shape.dim, r->shape.rank - 1);
    for (int k = 0; k < r->n_in; k++) {
        r->at[k] = 0;
        for (int d = 0; d < r->shape.rank - 1; d++)
            r->at[k] += r->index[d] * r->stride[k][d];
    }
    return true;
}

/* n elements of input k of the row from element `from` on. */
static void row_f64(double *v, const md_rows *r, int k, const md_tensor *t,
                    int64_t from, int64_t n)
{
    if (r->step[k]) {
        md_load_f64(v, t, r->at[k] + from, n);
        return;
    }
    md_load_f64(v, t, r->at[k], 1);
    for (int64_t i = 1; i < n; i++)
        v[i] = v[0];
}

static void row_i64(int64_t *v, const md_rows *r, int k, const md_tensor *t,
                    int64_t from, int64_t n)
{
    if (r->step[k]) {
        md_load_i64(v, t, r->at[k] + from, n);
        return;
    }
    md_load_i64(v, t, r->at[k], 1);
    for (int64_t i = 1; i < n; i++)
        v[i] = v[0];
}

static void chunk_f64(md_tensor *out, const md_rows *r,
                      const md_tensor *const *in, int64_t from, int64_t n,
                      md_row_f64 *f)
{
    double a[MD_CHUNK], b[MD_CHUNK];

    row_f64(a, r, 0, in[0], from, n);
    row_f64(b, r, 1, in[1], from, n);
    f(a, a, b, n);
    md_store_f64(out, r->row * r->n + from, a, n);
}

static void chunk_i64(md_tensor *out, const md_rows *r,
                      const md_tensor *const *in, int64_t from, int64_t n,
                      const md_binary *op)
{
    int64_t a[MD_CHUNK], b[MD_CHUNK];

    row_i64(a, r, 0, in[0], from, n);
    row_i64(b, r, 1, in[1], from, n);
    if (op->u && in[1]->dtype == MD_DTYPE_U64)
        op->u((uint64_t *)a, (const uint64_t *)a, (const uint64_t *)b, n);
    else
        op->i(a, a, b, n);
    md_store_i64(out, r->row * r->n + from, a, n);
}

void md_binary__apply(md_tensor *out, const md_tensor *a, const md_tensor *b,
                      const md_binary *op)
{
    const md_tensor *in[2] = { a, b };
    bool floats = !op->i || md_dtype_is_float(a->dtype) ||
                  (op->mixed && md_dtype_is_float(b->dtype));
    md_rows r;

    assert(floats ? op->f != NULL : op->i != NULL);
    md_rows__begin(&r, &out->shape, 2, in);
    while (md_rows__next(&r)) {
        for (int64_t at = 0; at < r.n; at += MD_CHUNK) {
            int64_t n = r.n - at < MD_CHUNK ? r.n - at : MD_CHUNK;

            if (floats)
                chunk_f64(out, &r, in, at, n, op->f);
            else
                chunk_i64(out, &r, in, at, n, op);
        }
    }
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
        if (!spreads || !md_dim_equal(y->dim[i], MD_DIM(1)))
            MD_TRY(md_infer__same_dim(y->dim[i], x->dim[axis + i],
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
    md_binary__apply(out, x->in[0], &y, b);
    return MD_OK;
}

static md_status check_same_shape(const md_type *a, const md_type *b,
                                  uint32_t i, md_error *err)
{
    if (!a->has_rank || !b->has_rank)
        return MD_OK;
    if (a->rank != b->rank)
        return md_fail(err, MD_INVALID, "input %u has rank %d, %d expected",
                       (unsigned)i, b->rank, a->rank);
    for (int d = 0; d < a->rank; d++)
        MD_TRY(md_infer__same_dim(b->dim[d], a->dim[d],
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
            MD_TRY(check_same_shape(&t, c->in[i], i, err));
        MD_TRY(md_infer__broadcast(c, &t, &t, c->in[i], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_variadic__run(md_exec *x, const md_binary *b, md_infer_fn *infer,
                           md_error *err)
{
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    if (x->node->n_in == 1) {
        md_move_all(out, x->in[0]);
        return MD_OK;
    }
    md_binary__apply(out, x->in[0], x->in[1], b);
    for (uint32_t i = 2; i < x->node->n_in; i++)
        md_binary__apply(out, out, x->in[i], b);
    return MD_OK;
}
