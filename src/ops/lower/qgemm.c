/*
 * QGemm (com.microsoft), QLinearMatMul and modeld's QLinearMatMulToFloat by
 * gemm_s8.  The zero point of A and the bias are folded into one start value
 * per column at load.  Of the last one what the codes stand for goes on, to
 * bias, residual and activation in floats.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_s8.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    int64_t k, n;
    bool a_signed;
    int8_t *packed;
    int32_t *start;
    float *mult;
    float *bias; /* in floats, padded, or NULL */
    md_requant rq;
    const md_finish_f32_kernel *finish; /* NULL: no activation in floats */
} state;

/* Where a quantized product keeps its operands. */
typedef struct places {
    uint32_t bias;    /* MD_VALUE_NONE: none */
    uint32_t y_scale; /* y_zero_point follows */
    bool may_float;   /* without y_zero_point the result is float32 */
    bool to_float;    /* so are the codes */
} places;

/* Is input i there, be it constant or not? */
static bool has(const md_lower *lo, uint32_t i)
{
    return i < lo->node->n_in && lo->in[i] != NULL;
}

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->packed);
    md_free(alloc, s->start);
    md_free(alloc, s->mult);
    md_free(alloc, s->bias);
}

/* Not codes but what they stand for, and what is fused behind it. */
static md_status set_floats(state *s, const md_lower *lo, float scale,
                            md_error *err)
{
    const md_fused *f = lo->fused;

    s->rq.out = MD_QOUT_F32;
    s->rq.codes = true;
    s->rq.own_min = s->rq.q_min - s->rq.zero;
    s->rq.own_max = s->rq.q_max - s->rq.zero;
    s->rq.own_mult = scale;
    if (f && f->act != MD_ACT_NONE)
        s->finish = md_finish_f32_select(lo->cpu);
    if (!f || !f->bias)
        return MD_OK;
    s->bias = md_lower__padded(lo, f->bias, s->n);
    if (!s->bias)
        return md_fail_nomem(err, (unsigned long long)s->n * sizeof(float));
    s->rq.bias = s->bias;
    return MD_OK;
}

/* Scales and the range of the result. */
static md_status set_requant(state *s, const md_lower *lo, const places *at,
                             md_error *err)
{
    const md_tensor *ws = md_lower__const(lo, 4, MD_DTYPE_F32);
    float xs = md_lower__scalar_f(lo, 1, 1.0f);
    bool has_y = has(lo, at->y_scale + 1);
    float ys = has_y ? md_lower__scalar_f(lo, at->y_scale, 1.0f) : 1.0f;

    s->mult = md_lower__padded(lo, NULL, s->n);
    if (!s->mult)
        return md_fail_nomem(err, (unsigned long long)s->n * sizeof(float));
    for (int64_t j = 0; j < s->n; j++) {
        float w = ((const float *)ws->data)[md_tensor_n(ws) == 1 ? 0 : j];

        s->mult[j] = has_y ? xs * w / ys : xs * w;
    }
    s->rq.mult = s->mult;
    s->rq.out = MD_QOUT_F32;
    if (!has_y)
        return MD_OK;
    s->rq.out = MD_QOUT_Q8;
    s->rq.zero = md_lower__scalar_i(lo, at->y_scale + 1, 0);
    md_fused_clamp(at->to_float ? NULL : lo->fused, ys, s->rq.zero,
                   lo->cin[at->y_scale + 1]->dtype, &s->rq.q_min, &s->rq.q_max);
    return at->to_float ? set_floats(s, lo, ys, err) : MD_OK;
}

/* Packing, shared by blocks of columns. */
typedef struct pack_job {
    const state *s;
    const md_gemm_s8_b *from;
    const int32_t *bias;
    int32_t zero;
} pack_job;

enum {
    PACK_COLUMNS = 4 * MD_BLOCK /* that one thread packs at a time */
};

static void pack_columns(void *ctx, int64_t chunk, int worker)
{
    const pack_job *j = ctx;
    const state *s = j->s;
    const int64_t k = md_gemm_s8_packed_k(s->kernel, s->k);
    const int64_t n0 = chunk * PACK_COLUMNS;
    const int64_t n1 = md_min_i64(n0 + PACK_COLUMNS, s->n);

    (void)worker;
    md_gemm_s8_pack(s->packed, s->kernel, j->from, n0, n1);
    md_gemm_s8_start(s->start + n0, (int8_t *)s->packed + n0 * k, n1 - n0, k,
                     j->bias ? j->bias + n0 : NULL, j->zero, s->a_signed);
}

static md_status pack(state *s, const md_lower *lo, const md_tensor *b,
                      bool trans, const int32_t *bias, md_error *err)
{
    const md_gemm_s8_b from = { .b = b->data,
                                .n = s->n,
                                .k = s->k,
                                .stride_n = trans ? s->k : 1,
                                .stride_k = trans ? 1 : s->n };
    size_t size = md_gemm_s8_packed_size(s->kernel, s->n, s->k);
    size_t columns = (size_t)md_div_up(s->n, MD_BLOCK) * MD_BLOCK;
    bool ready;

    MD_TRY(md_lower__pack(lo, (void *)&s->packed, size, &ready, err));
    MD_TRY(md_lower__pack(lo, (void *)&s->start, columns * sizeof(int32_t),
                          &ready, err));
    if (ready)
        return MD_OK;
    md_pool_run(lo->pool, MD_POOL_WIDTH_MAX, md_div_up(s->n, PACK_COLUMNS),
                pack_columns,
                &(pack_job){ s, &from, bias, md_lower__scalar_i(lo, 2, 0) });
    return MD_OK;
}

/* All weights have zero point 0 and are s8; scales are constants. */
static md_status check(const md_lower *lo, const places *at, md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 3, MD_DTYPE_I8);
    const md_tensor *wz = md_lower__const(lo, 5, MD_DTYPE_I8);

    if ((!md_lower__is(lo, 0, MD_DTYPE_U8, -1) &&
         !md_lower__is(lo, 0, MD_DTYPE_I8, -1)) ||
        !b || b->shape.rank != 2)
        return md_fail(err, MD_UNSUPPORTED, "needs constant int8 weights");
    if (!lo->cin[1] || (has(lo, 2) && !lo->cin[2]) ||
        md_tensor_n(lo->cin[1]) != 1 || !md_lower__const(lo, 4, MD_DTYPE_F32))
        return md_fail(err, MD_UNSUPPORTED, "scales are no constants");
    if (has(lo, at->y_scale + 1)) {
        if (!md_lower__const(lo, at->y_scale, MD_DTYPE_F32) ||
            !lo->cin[at->y_scale + 1])
            return md_fail(err, MD_UNSUPPORTED,
                           "the output scale is no constant");
    } else if (!at->may_float) {
        return md_fail(err, MD_UNSUPPORTED, "no output scale");
    }
    if (has(lo, 5) && !wz)
        return md_fail(err, MD_UNSUPPORTED,
                       "the weights' zero point is no "
                       "int8 constant");
    for (int64_t i = 0; wz && i < md_tensor_n(wz); i++) {
        if (((const int8_t *)wz->data)[i] != 0)
            return md_fail(err, MD_UNSUPPORTED, "weights have a zero point");
    }
    return MD_OK;
}

/* One number per column, and not per row of a square. */
static bool is_row(const md_tensor *c, int64_t n)
{
    return md_tensor_n(c) == n &&
           (c->shape.rank == 0 || c->shape.dim[c->shape.rank - 1] == n);
}

static md_status lower(md_lower *lo, const places *at, bool trans,
                       md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 3, MD_DTYPE_I8);
    const md_tensor *bias = at->bias == MD_VALUE_NONE
                                ? NULL
                                : md_lower__const(lo, at->bias, MD_DTYPE_I32);
    md_status st;
    state *s;

    MD_TRY(check(lo, at, err));
    if (at->bias != MD_VALUE_NONE && has(lo, at->bias) && !bias)
        return md_fail(err, MD_UNSUPPORTED, "the bias is no int32 constant");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->k = b->shape.dim[trans ? 1 : 0];
    s->n = b->shape.dim[trans ? 0 : 1];
    if (bias && !is_row(bias, s->n))
        return md_fail(err, MD_UNSUPPORTED, "the bias is no row");
    if (md_tensor_n(lo->cin[4]) != 1 && md_tensor_n(lo->cin[4]) != s->n)
        return md_fail(err, MD_UNSUPPORTED,
                       "weight scales are not one per column");
    s->a_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    s->kernel = md_gemm_s8_select(lo->cpu);
    s->requant = md_requant_s8_select(lo->cpu);
    lo->kernel = s->kernel->name;
    st = pack(s, lo, b, trans, bias ? bias->data : NULL, err);
    if (st == MD_OK)
        st = set_requant(s, lo, at, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[3] = st == MD_OK;
    return st;
}

static md_status lower_qgemm(md_lower *lo, md_error *err)
{
    if (md_node_attr_i(lo->node, "transA", 0) ||
        md_node_attr_f(lo->node, "alpha", 1.0f) != 1.0f)
        return md_fail(err, MD_UNSUPPORTED, "transA or alpha");
    return lower(lo, &(places){ .bias = 6, .y_scale = 7, .may_float = true },
                 md_node_attr_i(lo->node, "transB", 0) != 0, err);
}

static md_status lower_qlinear(md_lower *lo, md_error *err)
{
    return lower(lo, &(places){ .bias = MD_VALUE_NONE, .y_scale = 6 }, false,
                 err);
}

static md_status lower_to_float(md_lower *lo, md_error *err)
{
    return lower(
        lo, &(places){ .bias = MD_VALUE_NONE, .y_scale = 6, .to_float = true },
        false, err);
}

static void fill(md_gemm_s8_args *g, const md_step *st)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];

    *g = (md_gemm_s8_args){ .kernel = s->kernel,
                            .requant = s->requant,
                            .m = md_shape_span(x, 0, x->rank - 1),
                            .n = s->n,
                            .k = s->k,
                            .a = st->in[0],
                            .lda = s->k,
                            .a_signed = s->a_signed,
                            .b = s->packed,
                            .start = s->start,
                            .c = st->out[0],
                            .ldc = s->n,
                            .rq = s->rq,
                            .last = s->finish };
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    md_gemm_s8_args *g;

    (void)width;
    MD_TRY(md_step__args(st, arena, (void *)&g, sizeof(*g), err));
    fill(g, st);
    st->n_chunks = md_gemm_s8_n_chunks(g);
    st->scratch_size = md_gemm_s8_scratch_size(g);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    md_gemm_s8_args g = *(const md_gemm_s8_args *)st->args;

    g.a = st->in[0];
    g.c = st->out[0];
    if (s->rq.codes)
        g.ep = md_step__epilogue(st, NULL);
    md_gemm_s8_run(&g, chunk, scratch);
}

const md_fast md_fast_qgemm = { lower_qgemm, plan, run, release, NULL };
const md_fast md_fast_qlinear_matmul = { lower_qlinear, plan, run, release,
                                         NULL };
const md_fast md_fast_qlinear_matmul_to_float = { lower_to_float, plan, run,
                                                  release,
                                                  md_lower__residual_input };
