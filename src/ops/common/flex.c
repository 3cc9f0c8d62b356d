#include "ops/common/flex.h"

#include <math.h>

enum { /* dimensions */
    BATCH,
    HEADS,
    LENGTH,
    SIZE
};

md_status md_flex__check(const md_infer *c, uint32_t i, uint32_t j, bool last,
                         md_error *err)
{
    const md_type *q, *k;

    MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, j, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, i, 4, 4, err));
    MD_TRY(md_infer__rank(c, j, 4, 4, err));
    q = c->in[i];
    k = c->in[j];
    if (!q->has_rank || !k->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, k->dim[BATCH], q->dim[BATCH],
                                "the batch of keys or values", err));
    if (last)
        MD_TRY(md_infer__must_equal(c, k->dim[SIZE], q->dim[SIZE],
                                    "the keys' head size", err));
    if (md_dim_is_const(q->dim[HEADS]) && md_dim_is_const(k->dim[HEADS]) &&
        (k->dim[HEADS].k == 0 || q->dim[HEADS].k % k->dim[HEADS].k))
        return md_fail(err, MD_INVALID,
                       "%lld heads of queries do not divide by %lld of keys",
                       (long long)q->dim[HEADS].k, (long long)k->dim[HEADS].k);
    return MD_OK;
}

md_status md_flex__check_values(const md_infer *c, uint32_t k, uint32_t v,
                                md_error *err)
{
    const md_type *keys = c->in[k], *values = c->in[v];

    if (!keys->has_rank || !values->has_rank)
        return MD_OK;
    MD_TRY(md_infer__rank(c, v, 4, 4, err));
    MD_TRY(md_infer__must_equal(c, values->dim[1], keys->dim[1],
                                "the number of the values' heads", err));
    return md_infer__must_equal(c, values->dim[2], keys->dim[2],
                                "the number of values", err);
}

md_status md_flex__precision(const md_infer *c, md_dtype *out, md_error *err)
{
    md_dtype q = c->in[0]->dtype;
    int64_t given;

    *out = q == MD_DTYPE_F64 || q == MD_DTYPE_NONE ? q : MD_DTYPE_F32;
    if (!md_node_attr(c->node, "softmax_precision"))
        return MD_OK;
    given = md_node_attr_i(c->node, "softmax_precision", MD_DTYPE_F32);
    if (given < 0 || given >= MD_DTYPE_N || !(MD_TYPES_FLOAT >> given & 1))
        return md_fail(err, MD_INVALID,
                       "softmax_precision is %lld, a float type expected",
                       (long long)given);
    *out = (md_dtype)given;
    return MD_OK;
}

double md_flex__scale(const md_node *n, int64_t size)
{
    if (md_node_attr(n, "scale"))
        return md_node_attr_f(n, "scale", 1.0f);
    return 1.0 / sqrt((double)size);
}

typedef struct job {
    md_flex f;
    int64_t q_heads, kv_heads, n_q, n_kv, size, v_size;
    double *memory;
    int64_t each; /* doubles for each thread */
} job;

/* Row r of the scores before the softmax, by keys [n_kv, size]. */
static void score(const job *j, int64_t r, const double *keys, double *q,
                  double *out)
{
    md_load_f64(q, j->f.q, r * j->size, j->size);
    for (int64_t i = 0; i < j->n_kv; i++) {
        const double *k = keys + i * j->size;
        double sum = 0.0;

        for (int64_t d = 0; d < j->size; d++)
            sum += q[d] * k[d];
        out[i] = sum * j->f.scale;
    }
}

static void softmax(double *v, int64_t n)
{
    double max = -INFINITY, sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        max = v[i] > max || isnan(v[i]) ? v[i] : max;
    for (int64_t i = 0; i < n; i++)
        sum += v[i] = exp(v[i] - max);
    for (int64_t i = 0; i < n; i++)
        v[i] /= sum;
}

static void add_values(const job *j, int64_t r, const double *values,
                       const double *p, double *sum)
{
    for (int64_t d = 0; d < j->v_size; d++)
        sum[d] = 0.0;
    for (int64_t i = 0; i < j->n_kv; i++) {
        const double *v = values + i * j->v_size, w = p[i];

        for (int64_t d = 0; d < j->v_size; d++)
            sum[d] += w * v[d];
    }
    md_store_f64(j->f.y, r * j->v_size, sum, j->v_size);
}

/* Head `chunk` of the queries of all batch elements. */
static void run_head(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;
    int64_t b = chunk / j->q_heads, h = chunk % j->q_heads;
    int64_t kv = b * j->kv_heads + h / (j->q_heads / j->kv_heads);
    double *keys = j->memory + worker * j->each;
    double *values = keys + j->n_kv * j->size;
    double *row = values + j->n_kv * j->v_size, *q = row + j->n_kv;
    double *sum = q + j->size;

    if (j->f.k)
        md_load_f64(keys, j->f.k, kv * j->n_kv * j->size, j->n_kv * j->size);
    if (j->f.v)
        md_load_f64(values, j->f.v, kv * j->n_kv * j->v_size,
                    j->n_kv * j->v_size);
    for (int64_t r = chunk * j->n_q; r < (chunk + 1) * j->n_q; r++) {
        if (j->f.k)
            score(j, r, keys, q, row);
        else
            md_load_f64(row, j->f.probabilities, r * j->n_kv, j->n_kv);
        if (j->f.scores)
            md_store_f64(j->f.scores, r * j->n_kv, row, j->n_kv);
        if (j->f.y && j->f.k)
            softmax(row, j->n_kv);
        if (j->f.y)
            add_values(j, r, values, row, sum);
    }
}

md_status md_flex__run(md_exec *x, md_flex *f, md_error *err)
{
    const md_tensor *rows = f->q ? f->q : f->probabilities;
    const md_tensor *heads = f->k ? f->k : f->v;
    job j = { .f = *f,
              .q_heads = rows->shape.dim[HEADS],
              .kv_heads = heads->shape.dim[HEADS],
              .n_q = rows->shape.dim[LENGTH],
              .n_kv = heads->shape.dim[LENGTH],
              .size = f->k ? f->k->shape.dim[SIZE] : 0,
              .v_size = f->v ? f->v->shape.dim[SIZE] : 0 };
    md_arena ar;
    md_status s;

    j.each = j.n_kv * (j.size + j.v_size + 1) + j.size + j.v_size;
    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__scratch(&j.memory, &ar, md_pool_width(x->pool),
                         (size_t)j.each * sizeof(*j.memory), err);
    if (s == MD_OK)
        md_pool_run(x->pool, MD_POOL_WIDTH_MAX,
                    rows->shape.dim[BATCH] * j.q_heads, run_head, &j);
    md_arena_release(&ar);
    return s;
}
