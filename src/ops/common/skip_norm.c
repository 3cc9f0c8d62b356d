#include "ops/common/skip_norm.h"

#include <assert.h>
#include <math.h>

enum { /* inputs */
    IN_X,
    IN_SKIP,
    IN_GAMMA
};

enum { /* outputs */
    OUT_Y,
    OUT_MEAN,
    OUT_INV,
    OUT_SUM,
    OUT_N
};

/* The skip has the input's shape, or lacks its first axis, or has 1 there. */
static md_status check_skip(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X], *s = c->in[IN_SKIP];

    if (!x->has_rank || !s->has_rank)
        return MD_OK;
    if (s->rank != x->rank && !(x->rank == 3 && s->rank == 2))
        return md_fail(err, MD_INVALID, "the skip has rank %d, %d expected",
                       s->rank, x->rank);
    for (int i = 0; i < s->rank; i++) {
        md_dim d = s->dim[i], whole = x->dim[x->rank - s->rank + i];

        if (i == 0 && s->rank == 3 && !md_dim_is_const(d))
            MD_TRY(md_infer__spreads(c, d, whole, err));
        else if (i != 0 || s->rank != 3 || d.k != 1)
            MD_TRY(md_infer__must_equal(c, d, whole, "a dimension of the skip",
                                        err));
    }
    return MD_OK;
}

/* One number for each column of x. */
static md_status check_rows(const md_infer *c, const md_skip_norm *f,
                            md_error *err)
{
    const uint32_t rows[] = { IN_GAMMA, f->beta, f->bias };
    const char *const names[] = { "gamma", "beta", "bias" };
    const md_type *x = c->in[IN_X];

    for (int i = 0; i < 3; i++) {
        if (rows[i] == MD_VALUE_NONE || !md_infer_has(c, rows[i]))
            continue;
        MD_TRY(md_infer__need(c, rows[i], MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__same_dtype(c, IN_X, rows[i], err));
        MD_TRY(md_infer__rank(c, rows[i], 1, 1, err));
        if (x->has_rank)
            MD_TRY(md_infer__length(c, c->in[rows[i]], x->dim[x->rank - 1],
                                    names[i], err));
    }
    return md_infer__need(c, IN_GAMMA, MD_TYPES_FLOAT, err);
}

md_status md_skip_norm__infer(const md_infer *c, const md_skip_norm *f,
                              md_error *err)
{
    const md_type *x = c->in[IN_X];
    md_type t;

    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, IN_SKIP, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, IN_SKIP, err));
    MD_TRY(md_infer__rank(c, IN_X, 2, 3, err));
    MD_TRY(check_skip(c, err));
    MD_TRY(check_rows(c, f, err));
    md_infer__give(c, OUT_Y, x);
    md_infer__give(c, OUT_SUM, x);
    t = *x;
    t.dtype = MD_DTYPE_F32;
    if (t.has_rank)
        t.dim[t.rank - 1] = MD_DIM(1);
    md_infer__give(c, OUT_MEAN, &t);
    md_infer__give(c, OUT_INV, &t);
    return MD_OK;
}

void md_skip_norm__row(double *v, int64_t n, const double *gamma,
                       const double *beta, double epsilon, bool rms,
                       double *mean, double *inv)
{
    double sum = 0.0, squares = 0.0;

    assert(gamma || n == 0);
    for (int64_t i = 0; i < n && !rms; i++)
        sum += v[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (v[i] - *mean) * (v[i] - *mean);
    *inv = 1.0 / sqrt(squares / (double)n + epsilon);
    for (int64_t i = 0; i < n; i++)
        v[i] = (v[i] - *mean) * *inv * gamma[i] + (beta ? beta[i] : 0.0);
}

/* Input i as doubles, NULL when it is absent. */
static md_status load_row(double **out, const md_exec *x, uint32_t i,
                          md_arena *ar, md_error *err)
{
    *out = NULL;
    if (i == MD_VALUE_NONE || !md_exec_has(x, i))
        return MD_OK;
    MD_TRY(
        md_exec__scratch(out, ar, md_tensor_n(x->in[i]), sizeof(**out), err));
    md_load_f64(*out, x->in[i], 0, md_tensor_n(x->in[i]));
    return MD_OK;
}

static md_status compute(md_exec *x, const md_skip_norm *f,
                         md_tensor *const *out, md_arena *ar, md_error *err)
{
    const md_tensor *in = x->in[IN_X], *skip = x->in[IN_SKIP];
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-12f);
    int64_t n = in->shape.dim[in->shape.rank - 1];
    int64_t total = md_tensor_n(in), again = md_tensor_n(skip);
    double *gamma, *beta, *bias, *v, *s, mean, inv;

    MD_TRY(load_row(&gamma, x, IN_GAMMA, ar, err));
    MD_TRY(load_row(&beta, x, f->beta, ar, err));
    MD_TRY(load_row(&bias, x, f->bias, ar, err));
    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    MD_TRY(md_exec__scratch(&s, ar, n, sizeof(*s), err));
    for (int64_t at = 0; at < total; at += n) {
        md_load_f64(v, in, at, n);
        md_load_f64(s, skip, at % again, n);
        for (int64_t i = 0; i < n; i++)
            v[i] += s[i] + (bias ? bias[i] : 0.0);
        if (out[OUT_SUM])
            md_store_f64(out[OUT_SUM], at, v, n);
        md_skip_norm__row(v, n, gamma, beta, epsilon, f->rms, &mean, &inv);
        if (out[OUT_Y])
            md_store_f64(out[OUT_Y], at, v, n);
        if (out[OUT_MEAN])
            md_store_f64(out[OUT_MEAN], at / n, &mean, 1);
        if (out[OUT_INV])
            md_store_f64(out[OUT_INV], at / n, &inv, 1);
    }
    return MD_OK;
}

md_status md_skip_norm__run(md_exec *x, const md_skip_norm *f,
                            md_infer_fn *infer, md_error *err)
{
    md_tensor *out[OUT_N];
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, out, OUT_N, err));
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, f, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
