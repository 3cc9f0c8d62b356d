/*
 * Gemm and MatMul over gemm_f32, gemm_bf16 or gemm_f64.  Constant right sides are packed
 * at load, others (attention) in every run: see products.h, and for bf16, here.
 * What else Gemm may have goes to gemm_any.c.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "ops/lower/common.h"
#include "ops/lower/products.h"

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    const md_gemm_f64_kernel *f64; /* not NULL: doubles, by this one */
    bool is_bf16;                  /* then `bf16` in place of `kernel` */
    md_lower_bf16 bf16;
    double *constant; /* of f64: the right side packed, or NULL */
    void *packed;     /* NULL: the right side is no constant */
    float *bias;      /* padded, or NULL */
    int64_t k, n;
    bool strict; /* rows of C alone have the bits that they have together */
    /* Of a right side that is packed in every run. */
    bool trans;
    float alpha;
} state;

typedef struct args {
    int64_t m, n, k;
    int64_t batch;               /* matrices; 1 for a constant right side */
    int64_t a_step[MD_RANK_MAX]; /* elements per leading output index */
    int64_t b_step[MD_RANK_MAX];
    md_shape lead;         /* leading dims of the output */
    md_gemm_f32_grid grid; /* of gemm_f32 */
    size_t b_size;         /* bytes of a right side packed in every run */
    md_products products;  /* of fp32, without a constant right side */
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->constant);
    md_free(alloc, s->packed);
    md_free(alloc, s->bias);
}

enum {
    PACK_PANELS = 4 /* panels that one thread packs at a time */
};

typedef struct pack_job {
    const state *s;
    const md_gemm_f32_b *from;
} pack_job;

/* Columns that the kernel packs as one. */
static int64_t panel(const state *s)
{
    return s->is_bf16 ? MD_BLOCK : s->kernel->nr;
}

static bool packed_size(size_t *size, const state *s, int64_t k, int64_t n)
{
    return s->is_bf16 ? md_gemm_bf16_packed_size(size, s->bf16.kernel, k, n)
                      : md_gemm_f32_packed_size(size, k, n);
}

static void pack_columns(const state *s, void *to, const md_gemm_f32_b *b,
                         int64_t n0, int64_t n1)
{
    if (s->is_bf16)
        md_gemm_bf16_pack(to, s->bf16.kernel, s->bf16.cast,
                          &(md_gemm_bf16_b){ b->b, b->rs, b->cs, b->k, b->n },
                          n0, n1);
    else
        s->kernel->pack_b(to, b, n0, n1);
}

static void pack_panels(void *ctx, int64_t chunk, int worker)
{
    const pack_job *j = ctx;
    int64_t step = panel(j->s) * PACK_PANELS;
    int64_t at = chunk * step;

    (void)worker;
    pack_columns(j->s, j->s->packed, j->from, at,
                 md_min_i64(at + step, j->from->n));
}

/* Pack alpha * B, element (i, j) at b[i * rs + j * cs]. */
static md_status pack(state *s, const md_lower *lo, const md_gemm_f32_b *b,
                      float alpha, md_error *err)
{
    md_gemm_f32_b from = *b;
    float *scaled = NULL;
    size_t size;
    bool ready;

    s->k = b->k;
    s->n = b->n;
    if (!packed_size(&size, s, b->k, b->n))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_lower__pack(lo, (void *)&s->packed, size, &ready, err));
    if (ready)
        return MD_OK;
    if (alpha != 1.0f && b->k * b->n > 0) {
        scaled = md_calloc(lo->alloc, (size_t)(b->k * b->n), sizeof(float));
        if (!scaled)
            return md_fail_nomem(err, size);
        for (int64_t i = 0; i < b->k * b->n; i++)
            scaled[i] = alpha * b->b[i]; /* a dense matrix in either order */
        from.b = scaled;
    }
    md_pool_run(lo->pool, MD_POOL_WIDTH_MAX,
                md_div_up(b->n, panel(s) * PACK_PANELS), pack_panels,
                &(pack_job){ s, &from });
    md_free(lo->alloc, scaled);
    return MD_OK;
}

/* bias[j] = beta * C[j] + what was fused; both may be absent. */
static md_status make_bias(state *s, const md_lower *lo, const md_tensor *c,
                           float beta, md_error *err)
{
    const md_fused *f = lo->fused;

    if (!c && !(f && f->bias))
        return MD_OK;
    s->bias = md_lower__padded(lo, f ? f->bias : NULL, s->n);
    if (!s->bias)
        return md_fail_nomem(err, (unsigned long long)s->n * sizeof(float));
    for (int64_t j = 0; c && j < s->n; j++)
        s->bias[j] +=
            beta * ((const float *)c->data)[md_tensor_n(c) == 1 ? 0 : j];
    return MD_OK;
}

/* C of Gemm adds one number per column (or the same everywhere). */
static bool is_row(const md_tensor *c, int64_t n)
{
    int64_t count = md_tensor_n(c);

    if (count == 1)
        return true;
    return count == n && c->shape.rank >= 1 &&
           c->shape.dim[c->shape.rank - 1] == n;
}

static void choose(state *s, md_lower *lo)
{
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->is_bf16 = md_lower__takes_bf16(&s->bf16, lo);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    lo->kernel = s->is_bf16 ? s->bf16.kernel->name : s->kernel->name;
}

static md_status choose_f64(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 1, MD_DTYPE_F64);

    s->f64 = md_gemm_f64_select(lo->cpu);
    lo->kernel = s->f64->name;
    if (!b || b->shape.rank != 2)
        return MD_OK;
    MD_TRY(md_products__pack_f64(&s->constant, s->f64, lo, b, s->trans, err));
    lo->packed[1] = true;
    return MD_OK;
}

static bool is_float(md_dtype t)
{
    return t == MD_DTYPE_F32 || t == MD_DTYPE_F64;
}

static md_status lower_gemm(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    const md_tensor *b = md_lower__const(lo, 1, MD_DTYPE_F32);
    bool has_c = n->n_in > 2 && n->in[2] != MD_VALUE_NONE;
    const md_tensor *c = has_c ? md_lower__const(lo, 2, MD_DTYPE_F32) : NULL;
    bool trans = md_node_attr_i(n, "transB", 0) != 0;
    md_gemm_f32_b from;
    md_status st;
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, 2) || !b || b->shape.rank != 2 ||
        md_node_attr_i(n, "transA", 0) ||
        (has_c && (!c || !is_row(c, b->shape.dim[trans ? 0 : 1])))) {
        lo->fast = &md_fast_gemm_any;
        return lo->fast->lower(lo, err);
    }
    from = (md_gemm_f32_b){ .b = b->data,
                            .rs = trans ? 1 : b->shape.dim[1],
                            .cs = trans ? b->shape.dim[1] : 1,
                            .k = b->shape.dim[trans ? 1 : 0],
                            .n = b->shape.dim[trans ? 0 : 1] };
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    choose(s, lo);
    st = pack(s, lo, &from, md_node_attr_f(n, "alpha", 1.0f), err);
    if (st == MD_OK)
        st = make_bias(s, lo, c, md_node_attr_f(n, "beta", 1.0f), err);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[1] = st == MD_OK;
    return st;
}

/* MatMul, and FusedMatMul (com.microsoft) where no axes of A move and none of a
 * batch.  A factor goes into constants, or is the activation of what is packed
 * in every run, into which nothing else is fused. */
static md_status lower_matmul(md_lower *lo, md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 1, MD_DTYPE_F32);
    const md_node *n = lo->node;
    bool fused = n->domain[0] != '\0'; /* MatMul has no attributes */
    bool trans = fused && md_node_attr_i(n, "transB", 0) != 0;
    float alpha = fused ? md_node_attr_f(n, "alpha", 1.0f) : 1.0f;
    bool packs = b && b->shape.rank == 2;
    md_dtype type = lo->in[0] ? lo->in[0]->dtype : MD_DTYPE_NONE;
    md_status st;
    state *s;

    if (fused && (md_node_attr_i(n, "transA", 0) ||
                  md_node_attr_i(n, "transBatchA", 0) ||
                  md_node_attr_i(n, "transBatchB", 0)))
        return md_fail(err, MD_UNSUPPORTED, "transposed axes of A or a batch");
    if (!is_float(type) || !md_lower__is(lo, 0, type, -1) ||
        !md_lower__is(lo, 1, type, -1) || lo->in[0]->rank < 2 ||
        lo->in[1]->rank < 2)
        return md_fail(err, MD_UNSUPPORTED,
                       "needs float32 or float64 operands of rank 2 or more");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->trans = trans;
    s->alpha = alpha;
    if (type == MD_DTYPE_F64)
        return choose_f64(s, lo, err);
    choose(s, lo);
    if (!packs)
        return MD_OK; /* packed in every run */
    st = pack(s, lo,
              &(md_gemm_f32_b){ .b = b->data,
                                .rs = trans ? 1 : b->shape.dim[1],
                                .cs = trans ? b->shape.dim[1] : 1,
                                .k = b->shape.dim[trans ? 1 : 0],
                                .n = b->shape.dim[trans ? 0 : 1] },
              alpha, err);
    if (st == MD_OK)
        st = make_bias(s, lo, NULL, 0.0f, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[1] = st == MD_OK;
    return st;
}

/* The product of `a`, without addresses. */
static md_gemm_bf16_args bf16_args(const state *s, const args *a)
{
    return (md_gemm_bf16_args){ .kernel = s->bf16.kernel,
                                .cast = s->bf16.cast,
                                .finish = s->bf16.finish,
                                .m = a->m,
                                .n = a->n,
                                .k = a->k,
                                .lda = a->k,
                                .ldc = a->n };
}

enum {
    ROUND_ROWS = 16, /* of a chunk that rounds */
    ROUND_AGAIN = 3  /* roundings of a row that are worth a phase */
};

/* Where several chunks would round the same rows, a phase before does. */
static md_status plan_bf16(md_step *st, const state *s, const args *a,
                           md_error *err)
{
    const md_gemm_bf16_args g = bf16_args(s, a);

    st->n_chunks = md_gemm_bf16_n_chunks(&g);
    st->scratch_size = md_gemm_bf16_scratch_size(&g);
    if (a->m < ROUND_ROWS || md_gemm_bf16_n_roundings(&g) < ROUND_AGAIN)
        return MD_OK;
    st->shared_size = md_gemm_bf16_rounded_size(&g);
    if (st->shared_size == SIZE_MAX)
        return md_fail_nomem(err, SIZE_MAX);
    st->scratch_size = 0;
    st->n_more[0] = st->n_chunks;
    st->n_chunks = md_div_up(a->m, ROUND_ROWS);
    return MD_OK;
}

/* One matrix: all leading dims of A are rows. */
static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->k = s->k;
    a->n = s->n;
    a->m = md_shape_span(x, 0, x->rank - 1);
    a->batch = 1;
    if (s->is_bf16)
        return plan_bf16(st, s, a, err);
    md_gemm_f32_split(&a->grid, s->kernel, a->m, a->n, a->k, width);
    st->n_chunks = a->grid.m_chunks * a->grid.n_chunks;
    return MD_OK;
}

static void run_bf16(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    md_gemm_bf16_args g = bf16_args(s, st->args);

    g.a = st->in[0];
    if (st->n_more[0] > 0 && st->phase == 0) {
        const int64_t m0 = chunk * ROUND_ROWS;

        md_gemm_bf16_round(&g, m0, md_min_i64(m0 + ROUND_ROWS, g.m),
                           st->shared);
        return;
    }
    g.rounded = st->n_more[0] > 0 ? st->shared : NULL;
    g.b = s->packed;
    g.c = st->out[0];
    g.ep = md_step__epilogue(st, s->bias);
    md_gemm_bf16_run(&g, chunk, scratch);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    md_gemm_f32_args g = { .m = a->m,
                           .n = a->n,
                           .k = a->k,
                           .a = st->in[0],
                           .lda = a->k,
                           .b = s->packed,
                           .c = st->out[0],
                           .ldc = a->n,
                           .ep = md_step__epilogue(st, s->bias),
                           .strict = s->strict };

    if (s->is_bf16) {
        run_bf16(st, chunk, scratch);
        return;
    }
    md_gemm_f32_chunk_run(s->kernel, &g, &a->grid, chunk);
}

/* Element steps of an operand per index of the output's leading dims. */
static void lead_steps(int64_t step[MD_RANK_MAX], const md_shape *s,
                       const md_shape *lead)
{
    md_shape own = { .rank = s->rank - 2 };
    int64_t matrix = s->dim[s->rank - 2] * s->dim[s->rank - 1];

    memcpy(own.dim, s->dim, sizeof(own.dim[0]) * (size_t)own.rank);
    md_shape_broadcast_strides(step, &own, lead);
    for (int i = 0; i < lead->rank; i++)
        step[i] *= matrix;
}

/* bf16 with a right side that is packed in every run: chunk = matrix. */
static md_status plan_batched(md_step *st, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->in_shape[1];
    const md_shape *out = &st->out_shape[0];
    md_gemm_bf16_args g;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->m = x->dim[x->rank - 2];
    a->k = x->dim[x->rank - 1];
    a->n = y->dim[y->rank - (s->trans ? 2 : 1)];
    a->lead = *out;
    a->lead.rank = out->rank - 2;
    a->batch = md_shape_n(&a->lead);
    lead_steps(a->a_step, x, &a->lead);
    lead_steps(a->b_step, y, &a->lead);
    st->n_chunks = a->batch;
    if (!packed_size(&a->b_size, s, a->k, a->n))
        return md_fail_nomem(err, SIZE_MAX);
    a->b_size = md_round_up(a->b_size, MD_CACHE_LINE);
    g = bf16_args(s, a);
    st->scratch_size = a->b_size + md_gemm_bf16_scratch_size(&g);
    return MD_OK;
}

/* The same in fp32. */
static md_status plan_products(md_step *st, int width, md_arena *arena,
                               md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->in_shape[1];
    md_shape lead = st->out_shape[0];
    md_products *p;
    int64_t n;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    st->n_chunks = 0;
    if (md_shape_n(&lead) == 0)
        return MD_OK;
    n = y->dim[y->rank - (s->trans ? 2 : 1)];
    lead.rank -= 2;
    p = &a->products;
    *p = (md_products){ .kernel = s->kernel,
                        .f64 = s->f64,
                        .scale = (double)s->alpha,
                        .constant = s->constant,
                        .strict = s->strict,
                        .m = x->dim[x->rank - 2],
                        .k = x->dim[x->rank - 1],
                        .n = n,
                        .a_row = x->dim[x->rank - 1],
                        .a_col = 1,
                        .b_row = s->trans ? 1 : n,
                        .b_col = s->trans ? y->dim[y->rank - 1] : 1,
                        .c_row = n,
                        .rank = lead.rank };
    memcpy(p->dim, lead.dim, sizeof(p->dim[0]) * (size_t)lead.rank);
    lead_steps(p->a_step, x, &lead);
    lead_steps(p->b_step, y, &lead);
    md_shape_strides(p->c_step, &lead);
    for (int i = 0; i < lead.rank; i++)
        p->c_step[i] *= p->m * p->n;
    return md_products__plan(p, st, 0, width, err);
}

static md_status plan_matmul(md_step *st, int width, md_arena *arena,
                             md_error *err)
{
    const state *s = st->state;

    if (s->packed)
        return plan(st, width, arena, err);
    return s->is_bf16 ? plan_batched(st, arena, err)
                      : plan_products(st, width, arena, err);
}

/* With a right side that is packed in every run. */
static md_epilogue own_epilogue(const md_step *st)
{
    const state *s = st->state;
    md_epilogue ep = md_step__epilogue(st, NULL);

    if (s->alpha != 1.0f) {
        ep.act = MD_ACT_SCALE;
        ep.a = s->alpha;
    }
    return ep;
}

/* Matrix i of a batch: C[i] = epilogue(A[..] B[..]), B packed into scratch. */
static void run_matrix(const md_step *st, const float *x, const float *y,
                       int64_t i, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    md_gemm_bf16_args g = bf16_args(s, a);

    pack_columns(s, scratch,
                 &(md_gemm_f32_b){ .b = y,
                                   .rs = s->trans ? 1 : a->n,
                                   .cs = s->trans ? a->k : 1,
                                   .k = a->k,
                                   .n = a->n },
                 0, a->n);
    g.a = x;
    g.b = scratch;
    g.c = (float *)st->out[0] + i * a->m * a->n;
    g.ep = own_epilogue(st);
    for (int64_t c = 0; c < md_gemm_bf16_n_chunks(&g); c++)
        md_gemm_bf16_run(&g, c, (char *)scratch + a->b_size);
}

static void run_matmul(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t ia = 0, ib = 0, rest = chunk;

    if (s->packed) {
        run(st, chunk, scratch);
        return;
    }
    if (!s->is_bf16) {
        const md_epilogue ep = own_epilogue(st);

        md_products__run(&a->products, st, st->in[0], st->in[1], st->out[0],
                         &ep, chunk, scratch);
        return;
    }
    for (int i = a->lead.rank; i-- > 0;) {
        int64_t at = rest % a->lead.dim[i];

        rest /= a->lead.dim[i];
        ia += at * a->a_step[i];
        ib += at * a->b_step[i];
    }
    run_matrix(st, (const float *)st->in[0] + ia, (const float *)st->in[1] + ib,
               chunk, scratch);
}

const md_fast md_fast_gemm = { lower_gemm, plan, run, release,
                               md_lower__residual_input };
const md_fast md_fast_matmul = { lower_matmul, plan_matmul, run_matmul, release,
                                 md_lower__residual_input };
