/*
 * MatMulInteger and what scales its sums (MatMulIntegerToFloat and
 * DynamicQuantizeMatMul of com.microsoft) by gemm_s8, exact modulo 2^32.
 *
 * The zero point of A is in the start values, unless every row has its own;
 * that one and the zero points of B are terms of the last step (codes.h), as
 * are scales, bias, residual and activation.
 *
 * Stages: the range of A, where A is to be quantized; A, B as far as they are
 * no constants, and start values; sums of the rows of A, where B has zero
 * points; products.
 */
#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "ops/common/product.h"
#include "ops/lower/codes.h"
#include "ops/lower/range.h"

enum {
    NONE = -1,
    ROWS = 32 /* of a chunk that adds them up */
};

/* Where an operator keeps its operands; NONE: it has no such one. */
typedef struct places {
    int a_scale, b_scale, a_zero, b_zero, bias;
    bool quantizes; /* A is float32, quantized by its range */
} places;

typedef struct state {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    const md_quantize_kernel *quantize;
    const md_finish_f32_kernel *finish;
    const places *at;
    bool scales; /* to float32 */
    bool a_signed, b_signed;
    bool has_a_rows; /* A may have a zero point for each row */
    bool has_b_zero; /* B may have one other than the middle */
    int64_t k, n;    /* of a constant B */
    int8_t *packed;  /* NULL: packed in every run */
    int32_t *columns;
} state;

/* Parts of the shared memory, in bytes. */
typedef struct parts {
    size_t ranges, a, packed, start, columns, mult, bias, size;
    size_t row[MD_REQUANT_TERMS], zero; /* zero points: of rows, of columns */
} parts;

typedef struct args {
    md_matmul mm;     /* a constant B: one matrix, with all rows of A */
    int64_t n_b;      /* matrices of B to be packed */
    int64_t width;    /* columns up to whole blocks */
    size_t b_size;    /* bytes of a packed matrix */
    int64_t n_parts;  /* of A, for its range and quantizing */
    int64_t n_pieces; /* of one product */
    parts at;
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->packed);
    md_free(alloc, s->columns);
}

/* --- lowering ---------------------------------------------------------- */

static bool has(const md_lower *lo, int i)
{
    return i >= 0 && (uint32_t)i < lo->node->n_in && lo->in[i];
}

/* A number, or one for each row or column. */
static bool is_short(const md_lower *lo, int i)
{
    return !has(lo, i) || (lo->in[i]->has_rank && lo->in[i]->rank <= 1);
}

/* Is it one number, for certain? */
static bool is_single(const md_lower *lo, int i)
{
    return !has(lo, i) || lo->in[i]->rank == 0 ||
           md_lower__dim(lo, (uint32_t)i, 0) == 1;
}

/* Are all zero points of B known, and in the middle, where the kernel has
 * them? */
static bool is_central(const md_lower *lo, const state *s)
{
    const int i = s->at->b_zero;
    const md_tensor *z = has(lo, i) ? lo->cin[i] : NULL;

    if (!has(lo, i))
        return s->b_signed;
    for (int64_t j = 0; z && j < md_tensor_n(z); j++) {
        if (md_tensor_get_i64(z, j) != (s->b_signed ? 0 : 128))
            return false;
    }
    return z != NULL;
}

static bool is_q8(const md_lower *lo, uint32_t i)
{
    return md_lower__is(lo, i, MD_DTYPE_U8, -1) ||
           md_lower__is(lo, i, MD_DTYPE_I8, -1);
}

static md_status check(const md_lower *lo, const places *at, md_error *err)
{
    assert(at);
    if (!(at->quantizes ? md_lower__is(lo, 0, MD_DTYPE_F32, -1)
                        : is_q8(lo, 0)) ||
        !is_q8(lo, 1) || lo->in[0]->rank < 2 || lo->in[1]->rank < 2)
        return md_fail(err, MD_UNSUPPORTED, "needs two matrices");
    if (!is_short(lo, at->a_zero) || !is_short(lo, at->b_zero) ||
        !is_short(lo, at->b_scale) || !is_short(lo, at->bias))
        return md_fail(err, MD_UNSUPPORTED,
                       "parameters differ from matrix to matrix");
    if (has(lo, at->b_scale) &&
        !md_lower__is(lo, (uint32_t)at->b_scale, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32 scales");
    return MD_OK;
}

/* Pack [k][n] and add up its columns; `flipped` is scratch of its size for
 * uint8, which becomes int8. */
static void pack(const state *s, int8_t *packed, int32_t *columns,
                 const uint8_t *b, int8_t *flipped, int64_t k, int64_t n)
{
    md_gemm_s8_b from = {
        .b = (const int8_t *)b, .n = n, .k = k, .stride_n = 1, .stride_k = n
    };

    if (!s->b_signed) {
        md_codes__as_s8(flipped, b, k * n, false);
        from.b = flipped;
    }
    md_codes__pack(packed, columns, s->kernel, &from);
}

static md_status pack_constant(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *b = lo->cin[1];
    int8_t *flipped = NULL;
    size_t size, columns;
    md_status st;
    bool ready;

    if (!b || b->shape.rank != 2)
        return MD_OK;
    s->k = b->shape.dim[0];
    s->n = b->shape.dim[1];
    size = md_gemm_s8_packed_size(s->kernel, s->n, s->k);
    columns = (size_t)md_div_up(s->n, MD_BLOCK) * MD_BLOCK * sizeof(int32_t);
    st = md_lower__pack(lo, (void *)&s->packed, size, &ready, err);
    if (st == MD_OK)
        st = md_lower__pack(lo, (void *)&s->columns, columns, &ready, err);
    if (st == MD_OK && !ready && !s->b_signed) {
        flipped = md_malloc_aligned(lo->alloc, md_tensor_size(b) + 1);
        if (!flipped)
            st = md_fail_nomem(err, size);
    }
    if (st != MD_OK) {
        release(s, lo->alloc);
        return st;
    }
    if (!ready)
        pack(s, s->packed, s->columns, b->data, flipped, s->k, s->n);
    md_free(lo->alloc, flipped);
    lo->packed[1] = true;
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    static const struct {
        const char *op;
        places at;
    } ops[] = {
        { "MatMulInteger", { NONE, NONE, 2, 3, NONE, false } },
        { "MatMulIntegerToFloat", { 2, 3, 4, 5, 6, false } },
        { "DynamicQuantizeMatMul", { NONE, 2, NONE, 3, 4, true } },
    };
    const places *at = NULL;
    state *s;

    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (strcmp(ops[i].op, lo->node->op) == 0)
            at = &ops[i].at;
    }
    MD_TRY(check(lo, at, err));
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->at = at;
    s->scales = at->b_scale >= 0;
    s->kernel = md_gemm_s8_select(lo->cpu);
    s->requant = md_requant_s8_select(lo->cpu);
    s->quantize = md_quantize_select(lo->cpu);
    s->a_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    s->b_signed = lo->in[1]->dtype == MD_DTYPE_I8;
    s->finish = md_finish_f32_select(lo->cpu);
    s->has_b_zero = !is_central(lo, s);
    s->has_a_rows = !is_single(lo, at->a_zero);
    lo->kernel = s->kernel->name;
    return pack_constant(s, lo, err);
}

/* --- plan -------------------------------------------------------------- */

/* The product of one matrix, without addresses. */
static md_gemm_s8_args product(const state *s, const args *a)
{
    return (md_gemm_s8_args){
        .kernel = s->kernel,
        .requant = s->requant,
        .m = a->mm.one.m,
        .n = a->mm.one.n,
        .k = a->mm.one.k,
        .lda = a->mm.one.k,
        .a_signed = s->a_signed,
        .ldc = a->mm.one.n,
        .rq = { .out = s->scales ? MD_QOUT_F32 : MD_QOUT_S32 },
    };
}

static bool take(size_t *at, size_t *end, size_t n, size_t size)
{
    size_t bytes;

    *at = *end;
    return md_mul_size(&bytes, n, size) &&
           md_add_size(&bytes, bytes, MD_CACHE_LINE) &&
           md_add_size(end, *end, bytes) &&
           (*end &= ~(size_t)(MD_CACHE_LINE - 1), true);
}

static bool set_parts(const state *s, args *a, int64_t a_size)
{
    const size_t n_b = (size_t)a->n_b, width = (size_t)a->width;
    const size_t rows = (size_t)(a->mm.n_batch * a->mm.one.m);
    const size_t flipped =
        s->b_signed ? 0 : (size_t)(a->mm.one.k * a->mm.one.n);
    parts *p = &a->at;
    size_t end = 0;

    return take(&p->ranges, &end, (size_t)a->n_parts, sizeof(md_range)) &&
           take(&p->a, &end, s->at->quantizes ? (size_t)a_size : 0, 1) &&
           take(&p->start, &end, (n_b ? n_b : 1) * width, sizeof(int32_t)) &&
           take(&p->columns, &end, n_b * width, sizeof(int32_t)) &&
           take(&p->packed, &end, n_b, a->b_size + flipped) &&
           take(&p->mult, &end, width, sizeof(float)) &&
           take(&p->bias, &end, width, sizeof(float)) &&
           take(&p->row[0], &end, s->has_a_rows ? rows : 0, sizeof(int32_t)) &&
           take(&p->row[1], &end, s->has_b_zero ? rows : 0, sizeof(int32_t)) &&
           take(&p->zero, &end, s->has_b_zero ? width : 0, sizeof(int32_t)) &&
           (p->size = end, true);
}

typedef enum stage {
    RANGE,
    PREPARE,
    SUMS,
    PRODUCTS,
    N_STAGES
} stage;

static bool has_stage(const state *s, stage i)
{
    if (i == RANGE)
        return s->at->quantizes;
    return i != SUMS || s->has_b_zero || s->has_a_rows;
}

/* A phase for each stage that there is. */
static void set_stages(md_step *st, const args *a)
{
    const state *s = st->state;
    const int64_t n[N_STAGES] = { a->n_parts,
                                  1 + a->n_b +
                                      (s->at->quantizes ? a->n_parts : 0),
                                  md_div_up(a->mm.n_batch * a->mm.one.m, ROWS),
                                  a->mm.n_batch * a->n_pieces };
    int phase = 0;

    for (stage i = RANGE; i < N_STAGES; i++) {
        if (!has_stage(s, i))
            continue;
        if (phase == 0)
            st->n_chunks = n[i];
        else
            st->n_more[phase - 1] = n[i];
        phase++;
    }
}

static stage stage_of(const md_step *st)
{
    stage i = RANGE;

    for (int phase = st->phase;; i++) {
        if (has_stage(st->state, i) && phase-- == 0)
            return i;
    }
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->in_shape[1];
    md_gemm_s8_args g;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    md_matmul__sizes(&a->mm, x, y);
    if (s->packed) { /* all leading dims of A are rows */
        a->mm.one.m = md_shape_span(x, 0, x->rank - 1);
        a->mm.n_batch = 1;
        a->mm.rank = 0;
    } else {
        a->n_b = md_shape_span(y, 0, y->rank - 2);
    }
    a->width = md_div_up(a->mm.one.n, MD_BLOCK) * MD_BLOCK;
    a->b_size = md_gemm_s8_packed_size(s->kernel, a->mm.one.n, a->mm.one.k);
    a->n_parts = md_range__n_parts(md_shape_n(x), width);
    if (!set_parts(s, a, md_shape_n(x)))
        return md_fail_nomem(err, SIZE_MAX);
    st->shared_size = a->at.size;
    g = product(s, a);
    a->n_pieces = md_gemm_s8_n_chunks(&g);
    st->scratch_size = md_gemm_s8_scratch_size(&g);
    set_stages(st, a);
    return MD_OK;
}

/* --- run --------------------------------------------------------------- */

static const void *input(const md_step *st, int i)
{
    return i >= 0 && (uint32_t)i < st->node->n_in ? st->in[i] : NULL;
}

static void *part_of(const md_step *st, size_t at)
{
    return (char *)st->shared + at;
}

/* Element i of an 8-bit parameter that has one or more elements. */
static int32_t zero_at(const md_step *st, int in, int64_t i)
{
    const void *z = input(st, in);

    if (!z)
        return 0;
    if (md_shape_n(&st->in_shape[in]) == 1)
        i = 0;
    return st->in_dtype[in] == MD_DTYPE_I8 ? ((const int8_t *)z)[i]
                                           : ((const uint8_t *)z)[i];
}

/* Each row of A has a zero point of its own. */
static bool zero_per_row(const md_step *st)
{
    const state *s = st->state;

    return s->has_a_rows && input(st, s->at->a_zero) &&
           md_shape_n(&st->in_shape[s->at->a_zero]) != 1;
}

/* Scale and zero point of the whole A. */
static void a_params(const md_step *st, float *scale, int32_t *zero)
{
    const state *s = st->state;
    const args *a = st->args;
    const float *given = input(st, s->at->a_scale);
    uint8_t z;

    if (s->at->quantizes) {
        md_range__params(scale, &z, part_of(st, a->at.ranges), a->n_parts);
        *zero = z;
        return;
    }
    *scale = given ? *given : 1.0f;
    *zero = zero_per_row(st) ? 0 : zero_at(st, s->at->a_zero, 0);
}

static const float *bias_of(const md_step *st)
{
    const state *s = st->state;
    const float *own = input(st, s->at->bias);

    return own || !st->fused ? own : st->fused->bias;
}

/* Start values that take the zero point of A from the products. */
static void set_start(const state *s, int32_t *start, const int32_t *columns,
                      int32_t zero, int64_t width)
{
    const uint32_t shift = (uint32_t)zero + (s->a_signed ? 128 : 0);

    MD_SIMD
    for (int64_t j = 0; j < width; j++)
        start[j] = (int32_t) - (shift * (uint32_t)columns[j]);
}

/* Zero points of B, as packed. */
static void set_zeros(const md_step *st, int32_t *zeros)
{
    const state *s = st->state;
    const args *a = st->args;
    const void *z = input(st, s->at->b_zero);
    const int64_t n = z ? md_shape_n(&st->in_shape[s->at->b_zero]) : 1;

    for (int64_t j = 0; j < a->width; j++)
        zeros[j] = j < a->mm.one.n ? md_codes__zero(z, n, s->b_signed, j) : 0;
}

/* Scales of the sums, and the bias. */
static void set_scales(const md_step *st, float scale)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t n = a->mm.one.n;
    const size_t rest = (size_t)(a->width - n) * sizeof(float);
    const float *b_scale = input(st, s->at->b_scale), *given = bias_of(st);
    const bool one = md_shape_n(&st->in_shape[s->at->b_scale]) == 1;
    const float both = scale * b_scale[0];
    float *mult = part_of(st, a->at.mult), *bias = part_of(st, a->at.bias);

    MD_SIMD
    for (int64_t j = 0; j < n; j++)
        mult[j] = both;
    if (!one) {
        MD_SIMD
        for (int64_t j = 0; j < n; j++)
            mult[j] = scale * b_scale[j];
    }
    memset(mult + n, 0, rest);
    if (!given)
        return;
    memcpy(bias, given, (size_t)n * sizeof(*bias));
    memset(bias + n, 0, rest);
}

/* What the products read beside the matrices. */
static void set_columns(const md_step *st)
{
    const state *s = st->state;
    const args *a = st->args;
    float scale;
    int32_t zero;

    a_params(st, &scale, &zero);
    if (s->has_b_zero)
        set_zeros(st, part_of(st, a->at.zero));
    if (s->packed)
        set_start(s, part_of(st, a->at.start), s->columns, zero, a->width);
    if (s->scales)
        set_scales(st, scale);
}

static const int32_t *columns_of(const md_step *st, int64_t b)
{
    const state *s = st->state;
    const args *a = st->args;

    return s->packed
               ? s->columns
               : (const int32_t *)part_of(st, a->at.columns) + b * a->width;
}

/* Matrix b of a B that is no constant. */
static void pack_matrix(const md_step *st, int64_t b)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t k = a->mm.one.k, n = a->mm.one.n;
    int8_t *packed =
        (int8_t *)part_of(st, a->at.packed) + b * (int64_t)a->b_size;
    int32_t *start = (int32_t *)part_of(st, a->at.start) + b * a->width;
    int32_t *columns = (int32_t *)part_of(st, a->at.columns) + b * a->width;
    int8_t *flipped = (int8_t *)part_of(st, a->at.packed) +
                      a->n_b * (int64_t)a->b_size + b * k * n;
    float scale;
    int32_t zero;

    a_params(st, &scale, &zero);
    pack(s, packed, columns, (const uint8_t *)st->in[1] + b * k * n, flipped, k,
         n);
    set_start(s, start, columns, zero, a->width);
}

static void prepare(const md_step *st, int64_t chunk)
{
    const args *a = st->args;

    if (chunk == 0)
        set_columns(st);
    else if (chunk <= a->n_b)
        pack_matrix(st, chunk - 1);
    else
        md_range__quantize(
            ((const state *)st->state)->quantize, part_of(st, a->at.a),
            st->in[0], md_shape_n(&st->in_shape[0]), part_of(st, a->at.ranges),
            a->n_parts, chunk - 1 - a->n_b);
}

/* A's elements as they are multiplied. */
static const uint8_t *left(const md_step *st)
{
    const state *s = st->state;
    const args *a = st->args;

    return s->at->quantizes ? part_of(st, a->at.a) : st->in[0];
}

/* Number of the B that matrix i of the batch meets, and where its A is. */
static int64_t meet(const args *a, int64_t i, int64_t *at_a)
{
    int64_t at_b;

    md_matmul__at(&a->mm, i, at_a, &at_b);
    return at_b / md_max_i64(1, a->mm.one.k * a->mm.one.n);
}

static void multiply(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t i = chunk / a->n_pieces;
    md_gemm_s8_args g = product(s, a);
    int64_t at, b = meet(a, i, &at);
    int terms = 0;

    g.a = left(st) + at;
    g.b = s->packed ? s->packed
                    : (const int8_t *)part_of(st, a->at.packed) +
                          b * (int64_t)a->b_size;
    g.start = (const int32_t *)part_of(st, a->at.start) + b * a->width;
    g.c = (char *)st->out[0] + i * g.m * g.n * md_qout_size(g.rq.out);
    g.rq.mult = part_of(st, a->at.mult);
    g.rq.bias = bias_of(st) ? part_of(st, a->at.bias) : NULL;
    if (zero_per_row(st)) {
        g.rq.column[terms] = columns_of(st, b);
        g.row[terms++] = (const int32_t *)part_of(st, a->at.row[0]) + i * g.m;
    }
    if (s->has_b_zero) {
        g.rq.column[terms] = part_of(st, a->at.zero);
        g.row[terms++] = (const int32_t *)part_of(st, a->at.row[1]) + i * g.m;
    }
    g.ep = md_step__epilogue(st, NULL);
    if (g.ep.residual)
        g.ep.residual += i * g.m * g.n;
    g.last = g.ep.act != MD_ACT_NONE ? s->finish : NULL;
    md_gemm_s8_run(&g, chunk % a->n_pieces, scratch);
}

/* What row `row` of all is multiplied by in its terms: its own zero point,
 * and the sum of what is above it. */
static void set_row(const md_step *st, int64_t row)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t k = a->mm.one.k, i = row / a->mm.one.m;
    int64_t at;
    uint32_t sum;
    float scale;
    int32_t zero;

    a_params(st, &scale, &zero);
    if (zero_per_row(st)) {
        zero = zero_at(st, s->at->a_zero,
                       row % md_shape_n(&st->in_shape[s->at->a_zero]));
        ((int32_t *)part_of(st, a->at.row[0]))[row] = -zero;
    }
    if (!s->has_b_zero)
        return;
    (void)meet(a, i, &at);
    sum = md_codes__sum(left(st) + at + row % a->mm.one.m * k, k, s->a_signed);
    ((int32_t *)part_of(st, a->at.row[1]))[row] =
        (int32_t)((uint32_t)k * (uint32_t)zero - sum);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t rows = a->mm.n_batch * a->mm.one.m;

    switch (stage_of(st)) {
    case RANGE:
        md_range__find(s->quantize, part_of(st, a->at.ranges), st->in[0],
                       md_shape_n(&st->in_shape[0]), a->n_parts, chunk);
        break;
    case PREPARE:
        prepare(st, chunk);
        break;
    case SUMS:
        for (int64_t i = chunk * ROWS; i < rows && i < (chunk + 1) * ROWS; i++)
            set_row(st, i);
        break;
    default:
        multiply(st, chunk, scratch);
        break;
    }
}

const md_fast md_fast_matmul_integer = { lower, plan, run, release,
                                         md_lower__residual_input };
