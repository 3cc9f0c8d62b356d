/*
 * LSTM, GRU and RNN in float32, and com.microsoft's DynamicQuantizeLSTM, whose
 * products are those of 8-bit codes (codes.h).  What the input gives to all gates is one
 * product per block of times; then each time adds the product with the state
 * (packed weights, the gates as residual) and applies the gates row by row.
 *
 * One direction of a slice of the batch, whose rows fill a register tile, needs
 * no other one.  Where there are fewer of these than threads, several of them
 * share one: each takes some blocks of hidden units through all of it, and
 * needs the whole state of the time before (base/team.h).  How a sum is taken
 * does not depend on it.  Behind the end of its sequence a row is computed with
 * the others, but not kept.
 */
#include <string.h>

#include "base/size.h"
#include "base/team.h"
#include "ops/lower/range.h"
#include "ops/lower/recurrent.h"

enum {
    SLICE = 8,       /* rows of a chunk */
    BLOCK_ROWS = 64, /* of one product with the input */
    /* Of a time, for a part of a team: what meeting there costs some times. */
    PART_NS = 1000,
    SHARE_NS = 10000, /* of all times: worth to call others */
};

typedef md_recurrent_fast state;

typedef struct args {
    int64_t n_time, n_batch, n_slices;
    int64_t n_block; /* times of a product with the input */
    int64_t n_range; /* parts of X, for its range */
    int n_parts;     /* of a team; 1: a chunk is alone */
    /* Bytes of what a chunk works on, its team first, and where its members
     * are: in scratch, or behind what phase 0 leaves where it is shared. */
    size_t size, states_at, gates_at;
    size_t teams_at;
    size_t product_at; /* in scratch: memory of products of codes */
} args;

/* --- lowering ---------------------------------------------------------- */

static md_status set_kind(state *s, const md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;

    s->n_stages = 1;
    if (strcmp(n->op, "LSTM") == 0 || s->quantized) {
        s->kind = &md_recurrent_lstm;
        s->step = md_recurrent_fast__lstm;
        s->has_cell = true;
    } else if (strcmp(n->op, "GRU") == 0) {
        s->kind = &md_recurrent_gru;
        s->step = md_recurrent_fast__gru;
        s->n_alone = 1;
    } else {
        s->kind = &md_recurrent_rnn;
        s->step = md_recurrent_fast__rnn;
    }
    s->n_gates = s->kind->n_gates;
    s->n_together = s->n_gates - s->n_alone;
    s->variant =
        s->kind->variant && md_node_attr_i(n, s->kind->variant, 0) != 0;
    if (s->n_alone > 0 && !s->variant)
        s->n_stages = 2; /* R times the reset state */
    s->clip = md_node_attr_f(n, "clip", 0.0f);
    s->batch_first = md_recurrent__is_batch_first(n, lo->opset);
    MD_TRY(md_recurrent__directions(n, &s->n_dirs, err));
    for (int d = 0; d < s->n_dirs; d++) {
        md_recurrent_fast__set_gates(s, n, d);
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
    if (!md_recurrent_fast__cut(s, md_pool_width(lo->pool) / s->n_dirs,
                                md_recurrent_fast__is_constant(s, lo)))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_recurrent_fast__pack(s, lo, err));
    lo->kernel = quantized ? s->r.kernel->name : s->gemm->name;
    return MD_OK;
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

/* *at = *end on a cache line, with `size` bytes behind it; false on overflow. */
static bool put(size_t *at, size_t *end, size_t size)
{
    if (!md_add_size(at, *end, MD_CACHE_LINE - 1))
        return false;
    *at &= ~(size_t)(MD_CACHE_LINE - 1);
    return md_add_size(end, *at, size);
}

/* The threads that share a slice: as many as are left for it, each with enough
 * to do in a time. */
static int n_parts(const state *s, const args *a, int width)
{
    const int64_t n = s->n_hidden, m = md_min_i64(a->n_batch, SLICE);
    const int64_t n_slices = a->n_slices * s->n_dirs;
    /* about what a core of 512-bit vectors takes for products and gates */
    const double macs = (double)m * (double)(s->n_gates * n) * (double)n;
    const double ns =
        macs / (s->quantized ? 100 : 32) + 6 * (double)m * (double)n;
    int64_t max;

    if (n_slices == 0 || ns * (double)a->n_time < SHARE_NS)
        return 1;
    max = md_min_i64(width / n_slices, s->n_blocks);
    max = ns < PART_NS * (double)max ? (int64_t)(ns / PART_NS) : max;
    return (int)md_max_i64(1, max);
}

/* Places in the memory of a chunk: its team, states, gates of a block. */
static bool set_places(const state *s, args *a)
{
    const size_t states = s->n_stages == 2 ? 3 : s->has_cell ? 4 : 2;
    const int64_t m = a->n_block * SLICE;
    size_t size, team;

    a->size = 0;
    return put(&team, &a->size,
               a->n_parts > 1 ? md_team_size(a->n_parts) : 0) &&
           md_mul_size(&size, (size_t)s->n_hidden,
                       states * SLICE * sizeof(float)) &&
           put(&a->states_at, &a->size, size) &&
           md_mul_size(&size, (size_t)(s->n_gates * s->n_hidden),
                       (size_t)m * sizeof(float)) &&
           put(&a->gates_at, &a->size, size) &&
           put(&size, &a->size, 0); /* the next one's team is on a line too */
}

/* Chunks and memory of the phases. */
static bool set_phases(md_step *st, const state *s, args *a)
{
    size_t product, size;

    st->n_chunks = a->n_slices * s->n_dirs * a->n_parts;
    if (st->n_chunks == 0) /* no batch: nothing to pack for either */
        return true;
    if (!s->weights) {
        st->shared_size = s->at.size * sizeof(float) * (size_t)s->n_dirs;
        st->n_more[0] = st->n_chunks; /* behind packing */
        st->n_chunks = s->n_dirs;
    } else if (s->quantized) {
        st->shared_size = (size_t)a->n_range * sizeof(md_range);
        st->n_more[0] = st->n_chunks; /* behind the range of X */
        st->n_chunks = a->n_range;
    } else if (a->n_parts > 1) {
        st->n_more[0] = st->n_chunks; /* behind making teams */
        st->n_chunks = 1;
    }
    if (!product_size(&product, s, a->n_block * SLICE))
        return false;
    st->scratch_size = a->n_parts > 1 ? 0 : a->size;
    return put(&a->product_at, &st->scratch_size, product) &&
           (a->n_parts == 1 ||
            (md_mul_size(&size, a->size, (size_t)(a->n_slices * s->n_dirs)) &&
             put(&a->teams_at, &st->shared_size, size)));
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
    a->n_range = s->quantized ? md_range__n_parts(md_shape_n(x), width) : 0;
    a->n_parts = n_parts(s, a, width);
    if (!set_places(s, a) || !set_phases(st, s, a))
        return md_fail_nomem(err, SIZE_MAX);
    if (st->node->n_in > MD_RECURRENT_LENGTHS &&
        st->node->in[MD_RECURRENT_LENGTHS] != MD_VALUE_NONE)
        st->check = check;
    return MD_OK;
}

/* --- run --------------------------------------------------------------- */

/* A chunk's part of the tensors. */
typedef struct slice {
    const md_step *st;
    const float *weights;
    int d;
    int64_t b0, n;      /* sequences */
    float *h[2], *c[2]; /* [n][n_hidden], of even and of odd times */
    float *reset;       /* the same, of GRU */
    float *g;           /* of the current block, [n_block][n][gates] */
    void *product;      /* memory of products of codes */
    md_qparam x;        /* of codes: what X becomes */
} slice;

/* Blocks of hidden units and their range of these. */
typedef struct span {
    int64_t b0, b1, from, to;
} span;

static span span_of(const state *s, const args *a, int part)
{
    span x = { .b0 = part * s->n_blocks / a->n_parts,
               .b1 = (part + 1) * s->n_blocks / a->n_parts };

    x.from = x.b0 * s->n_units;
    x.to = md_min_i64(x.b1 * s->n_units, s->n_hidden);
    return x;
}

/* Row of X: time t, sequence b. */
static int64_t x_row(const state *s, const args *a, int64_t t, int64_t b)
{
    return s->batch_first ? b * a->n_time + t : t * a->n_batch + b;
}

/* Columns of gates, from `column` on, from rows of X. */
static void load_columns(const slice *p, md_gemm_f32_args *g, float *to,
                         size_t packed, size_t bias, int64_t column, int64_t n)
{
    const state *s = p->st->state;

    g->n = n;
    g->b = p->weights + packed;
    g->c = to + column;
    g->ep.bias = p->weights + bias + column;
    s->gemm->run(g, 0, g->m, 0, n);
}

/* m rows of gates from rows of X. */
static void load_rows(const slice *p, const span *u, const float *x, int64_t m,
                      float *to, int64_t ld)
{
    const state *s = p->st->state;
    const md_recurrent_places *at = &s->at;
    const int64_t behind = s->n_together * s->n_hidden;
    md_gemm_f32_args g = { .m = m,
                           .k = s->n_in,
                           .a = x,
                           .lda = s->n_in,
                           .ldc = ld,
                           .ep = MD_EPILOGUE_INIT,
                           .strict = s->strict };

    if (s->quantized)
        md_codes__multiply(
            &s->w,
            &(md_codes_product){ .matrix = p->d,
                                 .m = m,
                                 .n0 = md_recurrent_fast__column(s, u->b0),
                                 .n1 = md_recurrent_fast__column(s, u->b1),
                                 .a = x,
                                 .lda = s->n_in,
                                 .given = &p->x,
                                 .c = to,
                                 .ldc = ld,
                                 .bias = p->weights + at->bias },
            p->product);
    for (int64_t b = u->b0; !s->quantized && b < u->b1; b++) {
        const int64_t units = md_recurrent_fast__units(s, b);

        load_columns(p, &g, to, at->w + (size_t)b * at->w_step, at->bias,
                     md_recurrent_fast__column(s, b), s->n_together * units);
        if (s->n_alone > 0)
            load_columns(p, &g, to, at->w_alone + (size_t)b * at->w_alone_step,
                         at->bias, behind + b * s->n_units, units);
    }
}

/* Gates of times t0 .. t1 from the input. */
static void load_block(const slice *p, const span *u, int64_t t0, int64_t t1)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const int64_t gates = s->n_gates * s->n_hidden, n = p->n;
    const bool whole = !s->batch_first && n == a->n_batch;
    const int64_t n_runs = whole ? 1 : s->batch_first ? n : t1 - t0;
    const int64_t m = whole ? n * (t1 - t0) : s->batch_first ? t1 - t0 : n;

    for (int64_t i = 0; i < n_runs; i++) {
        const int64_t row = s->batch_first ? x_row(s, a, t0, p->b0 + i)
                                           : x_row(s, a, t0 + i, p->b0);

        load_rows(p, u, input(p->st, MD_RECURRENT_X) + row * s->n_in, m,
                  p->g + i * (s->batch_first ? gates : n * gates),
                  s->batch_first ? n * gates : gates);
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

static void load_state(const slice *p, const span *u, float *to, uint32_t i)
{
    const int64_t n = ((const state *)p->st->state)->n_hidden;
    const float *from = input(p->st, i);
    const size_t size = (size_t)(u->to - u->from) * sizeof(*to);

    to += u->from;
    for (int64_t b = 0; b < p->n; b++, to += n) {
        if (from)
            memcpy(to, from + state_row(p, b) * n + u->from, size);
        else
            memset(to, 0, size);
    }
}

static void store_state(const slice *p, const span *u, uint32_t o,
                        const float *from)
{
    const int64_t n = ((const state *)p->st->state)->n_hidden;
    float *to = o < p->st->node->n_out ? p->st->out[o] : NULL;

    for (int64_t b = 0; to && b < p->n; b++)
        memcpy(to + state_row(p, b) * n + u->from, from + b * n + u->from,
               (size_t)(u->to - u->from) * sizeof(*to));
}

/* What rows at their end have stays as it was; and write Y. */
static void keep(const slice *p, const span *u, const md_recurrent_rows *r,
                 int64_t t)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const int64_t n = s->n_hidden;
    const int32_t *length = lengths(p->st);
    const size_t size = (size_t)(u->to - u->from) * sizeof(float);
    float *y = p->st->out[0];

    for (int64_t i = 0; i < p->n; i++) {
        const int64_t b = p->b0 + i, at = i * n + u->from;
        const bool ended = length && t >= length[b];
        const int64_t row = s->batch_first
                                ? (b * a->n_time + t) * s->n_dirs + p->d
                                : (t * s->n_dirs + p->d) * a->n_batch + b;

        if (ended) {
            memcpy(r->h_new + at, r->h + at, size);
            if (s->has_cell)
                memcpy(r->c_new + at, r->c + at, size);
        }
        if (y && ended)
            memset(y + row * n + u->from, 0, size);
        else if (y)
            memcpy(y + row * n + u->from, r->h_new + at, size);
    }
}

/* States behind n times. */
static void finish(const slice *p, const span *u, int64_t n)
{
    store_state(p, u, 1, p->h[n % 2]);
    if (((const state *)p->st->state)->has_cell)
        store_state(p, u, 2, p->c[n % 2]);
}

static void begin(const slice *p, const span *u)
{
    load_state(p, u, p->h[0], MD_RECURRENT_H);
    if (((const state *)p->st->state)->has_cell)
        load_state(p, u, p->c[0], MD_RECURRENT_C);
}

/* Time i of those in the order of the direction. */
static void run_time(const slice *p, const span *u, int64_t i, int stage)
{
    const state *s = p->st->state;
    const args *a = p->st->args;
    const bool backward = s->backward[p->d];
    const int64_t t = backward ? a->n_time - 1 - i : i;
    const int64_t done = i / a->n_block * a->n_block;
    const int64_t n = md_min_i64(a->n_block, a->n_time - done);
    const int64_t t0 = backward ? a->n_time - done - n : done;
    const md_recurrent_rows r = {
        .n = p->n,
        .g = p->g + (t - t0) * p->n * s->n_gates * s->n_hidden,
        .h = p->h[i % 2],
        .c = p->c[i % 2],
        .h_new = p->h[(i + 1) % 2],
        .c_new = p->c[(i + 1) % 2],
        .reset = p->reset,
        .product = p->product,
    };

    if (i == done && stage == 0)
        load_block(p, u, t0, t0 + n);
    s->step(s, p->weights, p->d, &r, stage, u->b0, u->b1);
    if (stage < s->n_stages - 1)
        return;
    keep(p, u, &r, t);
    if (i == a->n_time - 1)
        finish(p, u, a->n_time);
}

static int64_t n_stages(const state *s, const args *a)
{
    return 1 + a->n_time * s->n_stages;
}

static void run_stage(void *ctx, int64_t stage, int part)
{
    const slice *p = ctx;
    const state *s = p->st->state;
    const args *a = p->st->args;
    const span u = span_of(s, a, part);

    if (stage > 0) {
        run_time(p, &u, (stage - 1) / s->n_stages,
                 (int)((stage - 1) % s->n_stages));
        return;
    }
    begin(p, &u);
    if (a->n_time == 0)
        finish(p, &u, 0);
}

/* What comes before the slices: weights that are no constants are packed, or
 * the range of X is found; and their teams. */
static void prepare(const md_step *st, int64_t chunk)
{
    const state *s = st->state;
    const args *a = st->args;
    const float *in[MD_RECURRENT_PEEPHOLE + 1] = { NULL };
    char *teams = (char *)st->shared + a->teams_at;

    for (int64_t i = 0; chunk == 0 && i < st->n_more[0]; i += a->n_parts) {
        if (a->n_parts > 1)
            md_team_init(
                (md_team *)(void *)(teams + (size_t)(i / a->n_parts) * a->size),
                a->n_parts);
    }
    if (s->quantized)
        md_range__find(s->w.quantize, st->shared, st->in[MD_RECURRENT_X],
                       md_shape_n(&st->in_shape[MD_RECURRENT_X]), a->n_range,
                       chunk);
    if (s->weights)
        return;
    for (uint32_t i = 0; i < st->node->n_in; i++)
        in[i] = st->in[i];
    md_recurrent_fast__pack_direction(
        s, (float *)st->shared + (size_t)chunk * s->at.size, in, (int)chunk);
}

/* The tensors and the memory of slice i, which begins at `base`. */
static slice new_slice(const md_step *st, int64_t i, char *base, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t states = s->n_hidden * SLICE;
    float *h = (float *)(void *)(base + a->states_at);
    slice p = { .st = st,
                .weights = s->weights ? s->weights : st->shared,
                .d = (int)(i / a->n_slices),
                .b0 = i % a->n_slices * SLICE,
                .h = { h, h + states },
                .g = (float *)(void *)(base + a->gates_at),
                .product = (char *)scratch + a->product_at,
                .x = { .q_max = 255 } };
    uint8_t zero;

    p.n = md_min_i64(SLICE, a->n_batch - p.b0);
    p.weights += (size_t)p.d * s->at.size;
    if (s->has_cell) {
        p.c[0] = h + 2 * states;
        p.c[1] = h + 3 * states;
    } else if (s->n_stages == 2) {
        p.reset = h + 2 * states;
    }
    if (s->quantized) {
        md_range__params(&p.x.scale, &zero, st->shared, a->n_range);
        p.x.zero = zero;
    }
    return p;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t i = chunk / a->n_parts;
    char *base = scratch;
    slice p;

    if (st->n_more[0] > 0 && st->phase == 0) {
        prepare(st, chunk);
        return;
    }
    if (a->n_parts > 1)
        base = (char *)st->shared + a->teams_at + (size_t)i * a->size;
    p = new_slice(st, i, base, scratch);
    if (a->n_parts > 1) {
        md_team_work((md_team *)(void *)base, (int)(chunk % a->n_parts),
                     n_stages(s, a), run_stage, &p);
        return;
    }
    for (int64_t stage = 0; stage < n_stages(s, a); stage++)
        run_stage(&p, stage, 0);
}

const md_fast md_fast_recurrent = { lower, plan, run,
                                    md_recurrent_fast__release, NULL };
