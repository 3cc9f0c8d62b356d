/*
 * Gemm in float64, or in float32 without a packed B, or with a transposed A or
 * a C that is no constant row: the product of what is there, by products.c, then
 * alpha, beta, C and what was fused, row by row.
 */
#include "base/size.h"
#include "kernels/unary_f32.h"
#include "ops/lower/common.h"
#include "ops/lower/products.h"

enum {
    ROWS = 16 /* of a chunk that finishes */
};

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    const md_gemm_f64_kernel *f64; /* not NULL: doubles, by this one */
    const md_unary_f32_kernel *unary;
    double *constant; /* of f64: B packed, or NULL */
    bool strict, trans_a, trans_b, has_c;
    float alpha, beta;
} state;

typedef struct args {
    md_products p;
    int last;                /* the phase that finishes; -1: none */
    int64_t c_row, c_column; /* steps of C, 0 where it is broadcast */
} args;

static md_status lower_f64(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 1, MD_DTYPE_F64);

    s->f64 = md_gemm_f64_select(lo->cpu);
    lo->kernel = s->f64->name;
    if (!b || b->shape.rank != 2)
        return MD_OK;
    MD_TRY(md_products__pack_f64(&s->constant, s->f64, lo, b, s->trans_b, err));
    lo->packed[1] = true;
    return MD_OK;
}

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->constant);
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    md_dtype type = lo->in[0] ? lo->in[0]->dtype : MD_DTYPE_NONE;
    state *s;

    for (uint32_t i = 0; i < 3; i++) {
        if ((type != MD_DTYPE_F32 && type != MD_DTYPE_F64) ||
            (i < n->n_in && lo->in[i] &&
             !md_lower__is(lo, i, type, i < 2 ? 2 : -1)))
            return md_fail(err, MD_UNSUPPORTED, "needs float32 or float64");
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->unary = md_unary_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    s->trans_a = md_node_attr_i(n, "transA", 0) != 0;
    s->trans_b = md_node_attr_i(n, "transB", 0) != 0;
    s->has_c = n->n_in > 2 && lo->in[2];
    s->alpha = md_node_attr_f(n, "alpha", 1.0f);
    s->beta = md_node_attr_f(n, "beta", 1.0f);
    lo->kernel = s->kernel->name;
    if (type == MD_DTYPE_F64)
        return lower_f64(s, lo, err);
    lo->why =
        lo->precision == MD_PRECISION_BF16 ? "no packed B: fp32" : lo->why_fp32;
    return MD_OK;
}

/* C is broadcast to [m, n]. */
static void set_c(const md_step *st, args *a)
{
    const md_shape *c = &st->in_shape[2];
    const int64_t columns = c->rank > 0 ? c->dim[c->rank - 1] : 1;
    const int64_t rows = c->rank > 1 ? c->dim[c->rank - 2] : 1;

    a->c_column = columns == 1 ? 0 : 1;
    a->c_row = rows == 1 ? 0 : columns;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->in_shape[1];
    md_products *p;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    p = &a->p;
    *p = (md_products){ .kernel = s->kernel,
                        .f64 = s->f64,
                        .scale = 1.0,
                        .constant = s->constant,
                        .strict = s->strict,
                        .m = x->dim[s->trans_a],
                        .k = x->dim[!s->trans_a],
                        .n = y->dim[!s->trans_b],
                        .a_row = s->trans_a ? 1 : x->dim[1],
                        .a_col = s->trans_a ? x->dim[1] : 1,
                        .b_row = s->trans_b ? 1 : y->dim[1],
                        .b_col = s->trans_b ? y->dim[1] : 1,
                        .c_row = y->dim[!s->trans_b] };
    MD_TRY(md_products__plan(p, st, 0, width, err));
    a->last = -1;
    if (s->alpha == 1.0f && !s->has_c && !st->fused)
        return MD_OK;
    a->last = md_products__n_phases(p);
    st->n_more[a->last - 1] = md_div_up(p->m, ROWS);
    if (s->has_c)
        set_c(st, a);
    return MD_OK;
}

/* Row i of the result. */
static void finish(const md_step *st, int64_t i)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t n = a->p.n;
    const md_epilogue ep = md_step__epilogue(st, NULL);
    const float *bias = st->fused ? st->fused->bias : NULL;
    const float *c = s->has_c ? (const float *)st->in[2] + i * a->c_row : NULL;
    float *y = (float *)st->out[0] + i * n;

    for (int64_t j = 0; j < n; j++) {
        float v = s->alpha * y[j];

        if (c)
            v += s->beta * c[j * a->c_column];
        if (bias)
            v += bias[j];
        if (ep.residual)
            v += ep.residual[i * n + j];
        y[j] = v;
    }
    if (ep.act != MD_ACT_NONE)
        s->unary->act(y, y, (size_t)n, ep.act, ep.a, ep.b);
}

/* The same of doubles, into which nothing is fused. */
static void finish_f64(const md_step *st, int64_t i)
{
    const state *s = st->state;
    const args *a = st->args;
    const double *c =
        s->has_c ? (const double *)st->in[2] + i * a->c_row : NULL;
    double *y = (double *)st->out[0] + i * a->p.n;

    for (int64_t j = 0; j < a->p.n; j++) {
        y[j] *= s->alpha;
        if (c)
            y[j] += s->beta * c[j * a->c_column];
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const md_epilogue none = MD_EPILOGUE_INIT;

    if (st->phase != a->last) {
        md_products__run(&a->p, st, st->in[0], st->in[1], st->out[0], &none,
                         chunk, scratch);
        return;
    }
    for (int64_t i = chunk * ROWS; i < a->p.m && i < (chunk + 1) * ROWS; i++) {
        if (a->p.f64)
            finish_f64(st, i);
        else
            finish(st, i);
    }
}

const md_fast md_fast_gemm_any = { lower, plan, run, release, NULL };
