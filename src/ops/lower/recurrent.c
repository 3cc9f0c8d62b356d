/*
 * LSTM, GRU and RNN in float32, and com.microsoft's DynamicQuantizeLSTM, whose
 * products are those of 8-bit codes (codes.h).  What the input gives to all gates is one
 * product per block of times; then each time adds the product with the state
 * (packed weights, the gates as residual) and applies the gates row by row.
 *
 * A chunk is one direction of a slice of the batch, whose rows fill a register
 * tile; it needs no other one.  The cut does not depend on the threads.
 * Behind the end of its sequence a row is computed with the others, but not
 * kept.
 *
 * Gates of a row: as in W and R, [n_gates][n_hidden].
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "kernels/unary_f32.h"
#include "ops/common/recurrent.h"
#include "ops/lower/codes.h"
#include "ops/lower/range.h"

enum {
    SLICE = 8,       /* rows of a chunk */
    BLOCK_ROWS = 64, /* of one product with the input */
    IN_W_SCALE = 8,  /* of codes; each is followed by a zero point */
    IN_R_SCALE = 10
};

/* One gate's function, with a kernel or a loop of its own. */
typedef struct gate_fn {
    enum {
        FN_ACT,
        FN_UNARY,
        FN_AFFINE,
        FN_THRESHOLD,
        FN_TANH
    } kind;
    md_act act;
    md_unary op;
    float a, b;
} gate_fn;

/* Packed weights of a direction, in floats from its begin; GRU's hidden gate
 * has an R and a bias of its own: R times the reset state. */
typedef struct places {
    size_t w, r, r_hidden, bias, bias_hidden, peephole, size;
} places;

typedef struct state state;

/* Gates g[rows][n_gates * n_hidden] to new states: h_new, and c_new of LSTM.
 * Both and h, c are [rows][n_hidden]. */
typedef struct rows {
    int64_t n;
    float *g, *h, *c, *h_new, *c_new;
    void *product; /* memory of products of codes */
} rows;

typedef void step_fn(const state *s, const float *weights, int d,
                     const rows *r);

struct state {
    const md_gemm_f32_kernel *gemm;
    const md_unary_f32_kernel *unary;
    const md_recurrent *kind;
    step_fn *step;
    gate_fn fn[2][MD_RECURRENT_ACTS]; /* of both directions */
    bool backward[2];
    int n_dirs;
    int64_t n_in, n_hidden, n_gates;
    int64_t n_alone; /* gates whose product with R is apart: 1 in GRU */
    float clip;      /* 0: none */
    bool variant, has_peephole, batch_first, strict;
    places at;
    float *weights; /* of all directions; NULL: packed in every run */
    bool quantized; /* W and R are these: */
    md_codes w, r;
};

typedef struct args {
    int64_t n_time, n_batch, n_slices;
    int64_t n_block; /* times of a product with the input */
    int64_t n_parts; /* of X, for its range */
    size_t gates_at; /* of a chunk's scratch; the memory of products is last */
    size_t product_at;
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->weights);
    md_codes__release(&s->w, alloc);
    md_codes__release(&s->r, alloc);
}

/* --- functions --------------------------------------------------------- */

static gate_fn find_fn(const md_recurrent_act *a)
{
    static const struct {
        const char *name;
        gate_fn fn;
    } list[] = {
        { "Relu", { .act = MD_ACT_RELU } },
        { "Tanh", { .act = MD_ACT_TANH } },
        { "Sigmoid", { .act = MD_ACT_SIGMOID } },
        { "LeakyRelu", { .act = MD_ACT_LEAKY_RELU } },
        { "HardSigmoid", { .act = MD_ACT_HARD_SIGMOID } },
        { "Elu", { .kind = FN_UNARY, .op = MD_UNARY_ELU } },
        { "Softsign", { .kind = FN_UNARY, .op = MD_UNARY_SOFTSIGN } },
        { "Softplus", { .kind = FN_UNARY, .op = MD_UNARY_SOFTPLUS } },
        { "Affine", { .kind = FN_AFFINE } },
        { "ThresholdedRelu", { .kind = FN_THRESHOLD } },
        { "ScaledTanh", { .kind = FN_TANH } },
    };
    gate_fn fn = { 0 };

    for (size_t i = 0; i < MD_COUNT(list); i++) {
        if (strcmp(list[i].name, a->name) == 0)
            fn = list[i].fn;
    }
    fn.a = (float)a->alpha;
    fn.b = (float)a->beta;
    return fn;
}

static void apply(const state *s, const gate_fn *f, float *y, const float *x,
                  int64_t n)
{
    switch (f->kind) {
    case FN_ACT:
        s->unary->act(y, x, (size_t)n, f->act, f->a, f->b);
        break;
    case FN_UNARY:
        s->unary->run(y, x, (size_t)n, f->op, f->a, f->b);
        break;
    case FN_AFFINE:
        for (int64_t i = 0; i < n; i++)
            y[i] = f->a * x[i] + f->b;
        break;
    case FN_THRESHOLD:
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] < f->a ? 0.0f : x[i];
        break;
    case FN_TANH:
        for (int64_t i = 0; i < n; i++)
            y[i] = f->b * x[i];
        s->unary->act(y, y, (size_t)n, MD_ACT_TANH, 0, 0);
        for (int64_t i = 0; i < n; i++)
            y[i] *= f->a;
        break;
    }
}

/* Function i of a gate, in place, of what is clipped before. */
static void apply_gate(const state *s, int d, int i, float *x, int64_t n)
{
    if (s->clip > 0)
        s->unary->act(x, x, (size_t)n, MD_ACT_CLIP, -s->clip, s->clip);
    apply(s, &s->fn[d][i], x, x, n);
}

/* --- steps ------------------------------------------------------------- */

/* c = a * R + residual + bias for columns of R that are packed together. */
static void multiply(const state *s, const rows *r, const float *a,
                     const float *packed, float *c, int64_t ldc, int64_t n,
                     const float *residual, const float *bias)
{
    md_gemm_f32_args g = { .m = r->n,
                           .n = n,
                           .k = s->n_hidden,
                           .a = a,
                           .lda = s->n_hidden,
                           .b = packed,
                           .ldc = ldc,
                           .ep = MD_EPILOGUE_INIT,
                           .strict = s->strict };

    g.c = c;
    g.ep.residual = residual;
    g.ep.bias = bias;
    s->gemm->run(&g, 0, g.m, 0, g.n);
}

/* Gates i, o, f, c. */
static void lstm_row(const state *s, const float *peephole, int d, float *g,
                     const float *c, float *h_new, float *c_new)
{
    const int64_t n = s->n_hidden;
    const float *pi = peephole, *po = pi + n, *pf = po + n;
    float *in = g, *out = g + n, *forget = g + 2 * n, *cell = g + 3 * n;

    if (s->has_peephole) {
        for (int64_t j = 0; j < n; j++) {
            in[j] += pi[j] * c[j];
            forget[j] += pf[j] * c[j];
        }
        apply_gate(s, d, 0, in, n);
        apply_gate(s, d, 0, forget, n);
    } else {
        apply_gate(s, d, 0, g, 3 * n);
    }
    apply_gate(s, d, 1, cell, n);
    for (int64_t j = 0; j < n; j++)
        c_new[j] =
            (s->variant ? 1.0f - in[j] : forget[j]) * c[j] + in[j] * cell[j];
    if (s->has_peephole) {
        for (int64_t j = 0; j < n; j++)
            out[j] += po[j] * c_new[j];
        apply_gate(s, d, 0, out, n);
    }
    apply(s, &s->fn[d][2], h_new, c_new, n);
    for (int64_t j = 0; j < n; j++)
        h_new[j] *= out[j];
}

static void lstm_step(const state *s, const float *w, int d, const rows *r)
{
    const int64_t n = s->n_hidden;

    if (s->quantized)
        md_codes__multiply(&s->r,
                           &(md_codes_product){ .matrix = d,
                                                .m = r->n,
                                                .a = r->h,
                                                .lda = n,
                                                .c = r->g,
                                                .ldc = 4 * n,
                                                .residual = r->g },
                           r->product);
    else
        multiply(s, r, r->h, w + s->at.r, r->g, 4 * n, 4 * n, r->g, NULL);
    for (int64_t i = 0; i < r->n; i++)
        lstm_row(s, w + s->at.peephole, d, r->g + i * 4 * n, r->c + i * n,
                 r->h_new + i * n, r->c_new + i * n);
}

/* Gates z, r, h.  The hidden gate's product is in h_new on the way. */
static void gru_step(const state *s, const float *w, int d, const rows *r)
{
    const int64_t n = s->n_hidden;

    multiply(s, r, r->h, w + s->at.r, r->g, 3 * n, 2 * n, r->g, NULL);
    for (int64_t i = 0; i < r->n; i++) {
        float *z = r->g + i * 3 * n;

        apply_gate(s, d, 0, z, 2 * n);
        for (int64_t j = 0; j < n && !s->variant; j++)
            r->c_new[i * n + j] = z[n + j] * r->h[i * n + j];
    }
    multiply(s, r, s->variant ? r->h : r->c_new, w + s->at.r_hidden, r->h_new,
             n, n, NULL, s->variant ? w + s->at.bias_hidden : NULL);
    for (int64_t i = 0; i < r->n; i++) {
        const float *z = r->g + i * 3 * n, *reset = z + n, *h = r->h + i * n;
        float *hidden = r->g + i * 3 * n + 2 * n, *to = r->h_new + i * n;

        for (int64_t j = 0; j < n; j++)
            hidden[j] += s->variant ? reset[j] * to[j] : to[j];
        apply_gate(s, d, 1, hidden, n);
        for (int64_t j = 0; j < n; j++)
            to[j] = (1.0f - z[j]) * hidden[j] + z[j] * h[j];
    }
}

static void rnn_step(const state *s, const float *w, int d, const rows *r)
{
    const int64_t n = s->n_hidden;

    multiply(s, r, r->h, w + s->at.r, r->h_new, n, n, r->g, NULL);
    apply_gate(s, d, 0, r->h_new, r->n * n);
}

/* --- weights ----------------------------------------------------------- */

/* Room for n floats behind what is there; false on overflow. */
static bool take(size_t *at, size_t *end, size_t n)
{
    *at = *end;
    return md_add_size(end, *end, n + MD_BLOCK) &&
           (*end &= ~(size_t)(MD_BLOCK - 1), true);
}

static bool take_packed(size_t *at, size_t *end, int64_t k, int64_t n)
{
    size_t size;

    return md_gemm_f32_packed_size(&size, k, n) &&
           take(at, end, size / sizeof(float));
}

static bool set_places(state *s)
{
    const int64_t n = s->n_hidden;
    places *p = &s->at;
    size_t end = 0, total;

    return (s->quantized ||
            (take_packed(&p->w, &end, s->n_in, s->n_gates * n) &&
             take_packed(&p->r, &end, n, (s->n_gates - s->n_alone) * n) &&
             take_packed(&p->r_hidden, &end, n, s->n_alone * n))) &&
           take(&p->bias, &end, (size_t)(s->n_gates * n)) &&
           take(&p->bias_hidden, &end, (size_t)n) &&
           take(&p->peephole, &end, 3 * (size_t)n) &&
           (p->size = end, md_mul_size(&total, end, 2 * sizeof(float)));
}

/* Columns of the product: rows row .. row + n of w[][k]. */
static void pack_rows(const state *s, float *to, const float *w, int64_t row,
                      int64_t n, int64_t k)
{
    s->gemm->pack_b(
        to,
        &(md_gemm_f32_b){ .b = w + row * k, .rs = 1, .cs = k, .k = k, .n = n },
        0, n);
}

static void pack_matrices(const state *s, float *to, const float *w,
                          const float *r)
{
    const int64_t n = s->n_hidden, n_rows = s->n_gates * n;
    const int64_t first = (s->n_gates - s->n_alone) * n;

    pack_rows(s, to + s->at.w, w, 0, n_rows, s->n_in);
    pack_rows(s, to + s->at.r, r, 0, first, n);
    pack_rows(s, to + s->at.r_hidden, r, first, n_rows - first, n);
}

/* Direction d; in[] are the node's inputs from W on, NULL where absent. */
static void pack_direction(const state *s, float *to, const float *const *in,
                           int d)
{
    const int64_t n = s->n_hidden, n_rows = s->n_gates * n;
    const int64_t first = (s->n_gates - s->n_alone) * n;
    const float *b = in[MD_RECURRENT_B];
    float *bias = to + s->at.bias, *hidden = to + s->at.bias_hidden;

    memset(to, 0, s->at.size * sizeof(*to));
    if (!s->quantized)
        pack_matrices(s, to, in[MD_RECURRENT_W] + d * n_rows * s->n_in,
                      in[MD_RECURRENT_R] + d * n_rows * n);
    if (in[MD_RECURRENT_PEEPHOLE])
        memcpy(to + s->at.peephole,
               in[MD_RECURRENT_PEEPHOLE] + (int64_t)d * 3 * n,
               3 * (size_t)n * sizeof(*to));
    if (!b)
        return;
    b += 2 * n_rows * d;
    for (int64_t i = 0; i < n_rows; i++)
        bias[i] = b[i] + (s->variant && i >= first ? 0 : b[n_rows + i]);
    for (int64_t i = first; i < n_rows; i++)
        hidden[i - first] = b[n_rows + i];
}

/* The inputs to be packed as float, if all are constants. */
static bool constants(const float *in[MD_RECURRENT_PEEPHOLE + 1],
                      const state *s, const md_lower *lo)
{
    for (uint32_t i = MD_RECURRENT_W; i <= MD_RECURRENT_PEEPHOLE; i++) {
        if ((i > MD_RECURRENT_B && i < MD_RECURRENT_PEEPHOLE) ||
            (s->quantized && i < MD_RECURRENT_B))
            continue;
        if (i >= lo->node->n_in || !lo->in[i])
            continue;
        if (!md_lower__const(lo, i, MD_DTYPE_F32))
            return false;
        in[i] = lo->cin[i]->data;
    }
    return true;
}

/* Pack at load, if everything is a constant. */
static md_status pack(state *s, md_lower *lo, md_error *err)
{
    const float *in[MD_RECURRENT_PEEPHOLE + 1] = { NULL };
    size_t size = s->at.size * sizeof(float) * (size_t)s->n_dirs;

    if (!constants(in, s, lo))
        return s->quantized ? md_fail(err, MD_UNSUPPORTED, "needs constants")
                            : MD_OK;
    s->weights = md_malloc_aligned(lo->alloc, size + MD_CACHE_LINE);
    if (!s->weights)
        return md_fail_nomem(err, size);
    for (int d = 0; d < s->n_dirs; d++)
        pack_direction(s, s->weights + (size_t)d * s->at.size, in, d);
    for (uint32_t i = MD_RECURRENT_W; i <= MD_RECURRENT_PEEPHOLE; i++)
        lo->packed[i] = in[i] != NULL;
    return MD_OK;
}

static md_status pack_codes(state *s, md_lower *lo, md_error *err)
{
    md_status st = md_codes__make(&s->w, lo, MD_RECURRENT_W, IN_W_SCALE, err);

    if (st == MD_OK)
        st = md_codes__make(&s->r, lo, MD_RECURRENT_R, IN_R_SCALE, err);
    if (st == MD_OK)
        st = pack(s, lo, err);
    if (st != MD_OK) {
        release(s, lo->alloc);
        return st;
    }
    lo->packed[MD_RECURRENT_W] = lo->packed[MD_RECURRENT_R] = true;
    lo->kernel = s->r.kernel->name;
    return MD_OK;
}

/* --- lowering ---------------------------------------------------------- */

static md_status set_kind(state *s, const md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;

    if (strcmp(n->op, "LSTM") == 0 || s->quantized) {
        s->kind = &md_recurrent_lstm;
        s->step = lstm_step;
    } else if (strcmp(n->op, "GRU") == 0) {
        s->kind = &md_recurrent_gru;
        s->step = gru_step;
        s->n_alone = 1;
    } else {
        s->kind = &md_recurrent_rnn;
        s->step = rnn_step;
    }
    s->n_gates = s->kind->n_gates;
    s->variant =
        s->kind->variant && md_node_attr_i(n, s->kind->variant, 0) != 0;
    s->clip = md_node_attr_f(n, "clip", 0.0f);
    s->batch_first = md_recurrent__is_batch_first(n, lo->opset);
    MD_TRY(md_recurrent__directions(n, &s->n_dirs, err));
    for (int d = 0; d < s->n_dirs; d++) {
        md_recurrent_act acts[MD_RECURRENT_ACTS];

        md_recurrent__acts(acts, n, s->kind, d);
        for (int i = 0; i < s->kind->n_acts; i++)
            s->fn[d][i] = find_fn(&acts[i]);
        s->backward[d] = md_recurrent__is_backward(n, d);
    }
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const bool quantized = strcmp(lo->node->op, "DynamicQuantizeLSTM") == 0;
    const int inner = quantized ? 1 : 2; /* axis that is summed over */
    int64_t n_in, n_hidden;
    state *s;

    if (!md_lower__may_be(lo, MD_RECURRENT_X, MD_DTYPE_F32, 3) ||
        (!quantized && (!md_lower__is(lo, MD_RECURRENT_W, MD_DTYPE_F32, 3) ||
                        !md_lower__is(lo, MD_RECURRENT_R, MD_DTYPE_F32, 3))))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    n_in = md_lower__dim(lo, MD_RECURRENT_W, inner);
    n_hidden = md_lower__dim(lo, MD_RECURRENT_R, inner);
    if (n_in < 0 || n_hidden < 0)
        return md_fail(err, MD_UNSUPPORTED, "the sizes of W and R are open");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->gemm = md_gemm_f32_select(lo->cpu);
    s->unary = md_unary_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    s->quantized = quantized;
    s->n_in = n_in;
    s->n_hidden = n_hidden;
    s->has_peephole =
        lo->node->n_in > MD_RECURRENT_PEEPHOLE && lo->in[MD_RECURRENT_PEEPHOLE];
    MD_TRY(set_kind(s, lo, err));
    if (!set_places(s))
        return md_fail_nomem(err, SIZE_MAX);
    if (quantized)
        return pack_codes(s, lo, err);
    lo->kernel = s->gemm->name;
    return pack(s, lo, err);
}

/* --- plan and run ------------------------------------------------------ */

static const float *input(const md_step *st, uint32_t i)
{
    return i < st->node->n_in ? st->in[i] : NULL;
}

static const int32_t *lengths(const md_step *st)
{
    return MD_RECURRENT_LENGTHS < st->node->n_in ? st->in[MD_RECURRENT_LENGTHS]
                                                 : NULL;
}

static md_status check(const md_step *st, md_error *err)
{
    const args *a = st->args;

    for (int64_t b = 0; b < a->n_batch; b++) {
        int64_t n;

        MD_TRY(md_recurrent__length(&n, lengths(st), b, a->n_time, err));
    }
    return MD_OK;
}

/* Memory of products of codes: of a block with the input, or of a step. */
static bool product_size(size_t *out, const state *s, int64_t m)
{
    size_t with_x, with_h;

    *out = 0;
    if (!s->quantized)
        return true;
    if (!md_codes__scratch_size(&with_x, &s->w, m) ||
        !md_codes__scratch_size(&with_h, &s->r, SLICE))
        return false;
    *out = with_x > with_h ? with_x : with_h;
    return true;
}

/* Bytes of a chunk: h, c and what becomes of them, gates of a block. */
static bool scratch_size(size_t *out, const state *s, args *a)
{
    const int64_t m = a->n_block * SLICE;
    size_t gates, product;

    if (!md_mul_size(&a->gates_at, (size_t)s->n_hidden,
                     (size_t)4 * SLICE * sizeof(float)) ||
        !md_mul_size(&gates, (size_t)(s->n_gates * s->n_hidden),
                     (size_t)m * sizeof(float)) ||
        !md_add_size(out, a->gates_at, gates) || !product_size(&product, s, m))
        return false;
    if (product == 0)
        return true;
    if (!md_add_size(&a->product_at, *out, MD_CACHE_LINE - 1))
        return false;
    a->product_at &= ~(size_t)(MD_CACHE_LINE - 1);
    return md_add_size(out, a->product_at, product);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[MD_RECURRENT_X];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->n_time = x->dim[s->batch_first ? 1 : 0];
    a->n_batch = x->dim[s->batch_first ? 0 : 1];
    a->n_slices = md_div_up(a->n_batch, SLICE);
    a->n_block = md_max_i64(
        1, BLOCK_ROWS / md_max_i64(1, md_min_i64(a->n_batch, SLICE)));
    a->n_block = md_min_i64(a->n_block, md_max_i64(1, a->n_time));
    st->n_chunks = a->n_slices * s->n_dirs;
    if (!scratch_size(&st->scratch_size, s, a))
        return md_fail_nomem(err, SIZE_MAX);
    if (st->node->n_in > MD_RECURRENT_LENGTHS &&
        st->node->in[MD_RECURRENT_LENGTHS] != MD_VALUE_NONE)
        st->check = check;
    if (!s->weights) {
        st->shared_size = s->at.size * sizeof(float) * (size_t)s->n_dirs;
        st->n_more[0] = st->n_chunks; /* behind packing */
        st->n_chunks = s->n_dirs;
    } else if (s->quantized && st->n_chunks > 0) {
        a->n_parts = md_range__n_parts(md_shape_n(x), width);
        st->shared_size = (size_t)a->n_parts * sizeof(md_range);
        st->n_more[0] = st->n_chunks; /* behind the range of X */
        st->n_chunks = a->n_parts;
    }
    return MD_OK;
}

/* A chunk's part of the tensors. */
typedef struct slice {
    const md_step *st;
    const float *weights;
    int d;
    int64_t b0;
    rows r;      /* g: of the current block, [n_block][n][gates] */
    md_qparam x; /* of codes: what X becomes */
} slice;

/* Row of X: time t, sequence b. */
static int64_t x_row(const state *s, const args *a, int64_t t, int64_t b)
{
    return s->batch_first ? b * a->n_time + t : t * a->n_batch + b;
}

/* Gates of times t0 .. t1 from the input. */
static void load_block(const slice *p, int64_t t0, int64_t t1)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const int64_t gates = s->n_gates * s->n_hidden, n = p->r.n;
    const bool whole = !s->batch_first && n == a->n_batch;
    const int64_t n_parts = whole ? 1 : s->batch_first ? n : t1 - t0;
    md_gemm_f32_args g = { .m = whole            ? n * (t1 - t0)
                                : s->batch_first ? t1 - t0
                                                 : n,
                           .n = gates,
                           .k = s->n_in,
                           .lda = s->n_in,
                           .b = p->weights + s->at.w,
                           .ldc = s->batch_first ? n * gates : gates,
                           .ep = MD_EPILOGUE_INIT,
                           .strict = s->strict };

    g.ep.bias = p->weights + s->at.bias;
    for (int64_t i = 0; i < n_parts; i++) {
        int64_t row = s->batch_first ? x_row(s, a, t0, p->b0 + i)
                                     : x_row(s, a, t0 + i, p->b0);

        g.a = input(p->st, MD_RECURRENT_X) + row * s->n_in;
        g.c = p->r.g + i * (s->batch_first ? gates : n * gates);
        if (s->quantized)
            md_codes__multiply(&s->w,
                               &(md_codes_product){ .matrix = p->d,
                                                    .m = g.m,
                                                    .a = g.a,
                                                    .lda = g.lda,
                                                    .given = &p->x,
                                                    .c = g.c,
                                                    .ldc = g.ldc,
                                                    .bias = g.ep.bias },
                               p->r.product);
        else
            s->gemm->run(&g, 0, g.m, 0, g.n);
    }
}

/* Row i of the states of direction d. */
static int64_t state_row(const slice *p, int64_t i)
{
    const state *s = p->st->state;
    const args *a = p->st->args;

    return s->batch_first ? (p->b0 + i) * s->n_dirs + p->d
                          : p->d * a->n_batch + p->b0 + i;
}

static void load_state(const slice *p, float *to, uint32_t i)
{
    const int64_t n = ((const state *)p->st->state)->n_hidden;
    const float *from = input(p->st, i);

    for (int64_t b = 0; b < p->r.n; b++, to += n) {
        if (from)
            memcpy(to, from + state_row(p, b) * n, (size_t)n * sizeof(*to));
        else
            memset(to, 0, (size_t)n * sizeof(*to));
    }
}

static void store_state(const slice *p, uint32_t o, const float *from)
{
    const int64_t n = ((const state *)p->st->state)->n_hidden;
    float *to = o < p->st->node->n_out ? p->st->out[o] : NULL;

    for (int64_t b = 0; to && b < p->r.n; b++)
        memcpy(to + state_row(p, b) * n, from + b * n, (size_t)n * sizeof(*to));
}

/* Keep the new states of rows that are not at their end, and write Y. */
static void keep(const slice *p, int64_t t)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const int64_t n = s->n_hidden;
    const int32_t *length = lengths(p->st);
    const size_t size = (size_t)n * sizeof(float);
    float *y = p->st->out[0];

    for (int64_t i = 0; i < p->r.n; i++) {
        const int64_t b = p->b0 + i;
        const bool ended = length && t >= length[b];
        const int64_t row = s->batch_first
                                ? (b * a->n_time + t) * s->n_dirs + p->d
                                : (t * s->n_dirs + p->d) * a->n_batch + b;

        if (!ended) {
            memcpy(p->r.h + i * n, p->r.h_new + i * n, size);
            if (s->step == lstm_step)
                memcpy(p->r.c + i * n, p->r.c_new + i * n, size);
        }
        if (y && ended)
            memset(y + row * n, 0, size);
        else if (y)
            memcpy(y + row * n, p->r.h + i * n, size);
    }
}

static void run_slice(slice *p)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const int64_t gates = s->n_gates * s->n_hidden;
    const bool backward = s->backward[p->d];

    load_state(p, p->r.h, MD_RECURRENT_H);
    load_state(p, p->r.c, s->step == lstm_step ? MD_RECURRENT_C : UINT32_MAX);
    for (int64_t done = 0; done < a->n_time; done += a->n_block) {
        const int64_t n = md_min_i64(a->n_block, a->n_time - done);
        const int64_t t0 = backward ? a->n_time - done - n : done;

        load_block(p, t0, t0 + n);
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = backward ? n - 1 - i : i;
            rows r = p->r;

            r.g += at * r.n * gates;
            s->step(s, p->weights, p->d, &r);
            keep(p, t0 + at);
        }
    }
    store_state(p, 1, p->r.h);
    if (s->step == lstm_step)
        store_state(p, 2, p->r.c);
}

/* What comes before the slices: weights that are no constants are packed, or
 * the range of X is found. */
static void prepare(const md_step *st, int64_t chunk)
{
    const state *s = st->state;
    const args *a = st->args;
    const float *in[MD_RECURRENT_PEEPHOLE + 1] = { NULL };

    if (s->quantized) {
        md_range__find(s->w.reduce, st->shared, st->in[MD_RECURRENT_X],
                       md_shape_n(&st->in_shape[MD_RECURRENT_X]), a->n_parts,
                       chunk);
        return;
    }
    for (uint32_t i = 0; i < st->node->n_in; i++)
        in[i] = st->in[i];
    pack_direction(s, (float *)st->shared + (size_t)chunk * s->at.size, in,
                   (int)chunk);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t states = s->n_hidden * SLICE;
    float *h = scratch;
    slice p = { .st = st,
                .weights = s->weights ? s->weights : st->shared,
                .x = { .q_max = 255 } };
    uint8_t zero;

    if (st->n_more[0] > 0 && st->phase == 0) {
        prepare(st, chunk);
        return;
    }
    p.d = (int)(chunk / a->n_slices);
    p.b0 = chunk % a->n_slices * SLICE;
    p.weights += (size_t)p.d * s->at.size;
    p.r = (rows){ .n = md_min_i64(SLICE, a->n_batch - p.b0),
                  .h = h,
                  .c = h + states,
                  .h_new = h + 2 * states,
                  .c_new = h + 3 * states,
                  .g = (float *)((char *)scratch + a->gates_at),
                  .product = (char *)scratch + a->product_at };
    if (s->quantized) {
        md_range__params(&p.x.scale, &zero, st->shared, a->n_parts);
        p.x.zero = zero;
    }
    run_slice(&p);
}

const md_fast md_fast_recurrent = { lower, plan, run, release, NULL };
