/*
 * Add, Sub, Mul, Div, Min, Max, Pow, PRelu, ReluGrad of two floats with broadcasting,
 * row-major or blocked.  Blocked operands have the channels of the result; constants of
 * one number per channel are blocked at load.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/binary_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_binary_f32_kernel *kernel;
    md_binary_op op;
    bool blocked;
    float *constant[2]; /* blocked: per channel, padded */
    bool scalar[2];     /* blocked: one number */
    int first_pad;      /* blocked: of the last block's lanes, the first one
                         * to be zeroed behind the computation; 0: none */
} state;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->constant[0]);
    md_free(alloc, s->constant[1]);
}

static bool find_op(md_binary *out, const char *op)
{
    static const struct {
        const char *name;
        md_binary op;
    } rows[] = {
        { "Add", MD_BINARY_ADD },       { "Sub", MD_BINARY_SUB },
        { "Mul", MD_BINARY_MUL },       { "Div", MD_BINARY_DIV },
        { "Min", MD_BINARY_MIN },       { "Max", MD_BINARY_MAX },
        { "Pow", MD_BINARY_POW },       { "PRelu", MD_BINARY_PRELU },
        { "ReluGrad", MD_BINARY_GATE },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(op, rows[i].name) == 0) {
            *out = rows[i].op;
            return true;
        }
    }
    return false;
}

/* One number per channel of a rank 4 result: [c,1,1] or [1,c,1,1]. */
static bool is_per_channel(const md_tensor *t, int64_t c)
{
    int r = t->shape.rank;

    return (r == 3 || r == 4) && md_tensor_n(t) == c &&
           t->shape.dim[r - 3] == c;
}

/* Can operand i take part in a blocked computation with c channels? */
static bool blockable(const md_lower *lo, uint32_t i, int64_t c)
{
    const md_tensor *t = lo->cin[i];

    if (t)
        return t->dtype == MD_DTYPE_F32 &&
               (md_tensor_n(t) == 1 || is_per_channel(t, c));
    return lo->in[i]->rank == 4 && md_lower__dim(lo, i, 1) == c;
}

/*
 * Padding lanes must be zero: products of zeros and sums of padded operands
 * are.  One number for all is an operand that is not padded; a product by it
 * is zero unless it is infinite or NaN.  What else comes out there is zeroed.
 */
static bool keeps_zeros(const md_lower *lo, uint32_t i, md_binary op)
{
    const md_tensor *t = lo->cin[i];

    if (op == MD_BINARY_DIV || op == MD_BINARY_POW)
        return false;
    if (!t || md_tensor_n(t) != 1)
        return true;
    return op == MD_BINARY_MUL && isfinite(md_tensor_get_f64(t, 0));
}

static bool wants_blocked(const md_lower *lo)
{
    bool any = lo->have[0] == MD_LAYOUT_NC16 || lo->have[1] == MD_LAYOUT_NC16;
    const md_type *y = lo->out[0];
    int64_t c;

    if (!any || y->rank != 4 || !md_dim_is_const(y->dim[1]))
        return false;
    c = y->dim[1].k;
    return blockable(lo, 0, c) && blockable(lo, 1, c);
}

static md_status block_constants(state *s, md_lower *lo, md_error *err)
{
    int64_t c = lo->out[0]->dim[1].k;

    if (!keeps_zeros(lo, 0, s->op.op) || !keeps_zeros(lo, 1, s->op.op))
        s->first_pad = (int)(c % MD_BLOCK);
    for (uint32_t i = 0; i < 2; i++) {
        const md_tensor *t = lo->cin[i];

        if (!t) {
            lo->want[i] = MD_LAYOUT_NC16;
            continue;
        }
        s->scalar[i] = md_tensor_n(t) == 1;
        s->constant[i] = md_lower__padded(lo, t->data, md_tensor_n(t));
        if (!s->constant[i])
            return md_fail_nomem(err, md_tensor_size(t));
    }
    lo->give[0] = MD_LAYOUT_NC16;
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    md_status st = MD_OK;
    state *s;

    if (lo->node->n_in != 2 || !md_lower__is(lo, 0, MD_DTYPE_F32, -1) ||
        !md_lower__is(lo, 1, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs two float32 operands");
    if (lo->opset < 7 && md_node_attr(lo->node, "axis"))
        return md_fail(err, MD_UNSUPPORTED, "broadcasts from an axis on");
    if (lo->opset < 7 && strcmp(lo->node->op, "PRelu") == 0)
        return md_fail(err, MD_UNSUPPORTED, "slopes lie along axis 1");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    if (!find_op(&s->op.op, lo->node->op))
        return md_fail(err, MD_UNSUPPORTED, "no kernel");
    s->kernel = md_binary_f32_select(lo->cpu);
    lo->kernel = s->kernel->name;
    s->blocked = wants_blocked(lo);
    if (s->blocked)
        st = block_constants(s, lo, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    return st;
}

/* Strides of a blocked operand over [n, c/16, h, w, 16]. */
static void blocked_strides(int64_t out[5], const state *s, uint32_t i,
                            const md_shape *x)
{
    int64_t cb = md_div_up(x->dim[1], MD_BLOCK);
    int64_t pixels = x->dim[2] * x->dim[3];

    memset(out, 0, 5 * sizeof(*out));
    if (s->constant[i]) {
        out[1] = s->scalar[i] ? 0 : MD_BLOCK;
        out[4] = s->scalar[i] ? 0 : 1;
        return;
    }
    out[0] = x->dim[0] == 1 ? 0 : cb * pixels * MD_BLOCK;
    out[1] = pixels * MD_BLOCK;
    out[2] = x->dim[2] == 1 ? 0 : x->dim[3] * MD_BLOCK;
    out[3] = x->dim[3] == 1 ? 0 : MD_BLOCK;
    out[4] = 1;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *y = &st->out_shape[0];
    int64_t dims[MD_RANK_MAX], a[MD_RANK_MAX], b[MD_RANK_MAX];
    int rank = y->rank;
    md_binary_f32_args *g;

    MD_TRY(md_step__args(st, arena, (void *)&g, sizeof(*g), err));
    if (s->blocked) {
        rank = 5;
        dims[0] = y->dim[0];
        dims[1] = md_div_up(y->dim[1], MD_BLOCK);
        dims[2] = y->dim[2];
        dims[3] = y->dim[3];
        dims[4] = MD_BLOCK;
        blocked_strides(a, s, 0, &st->in_shape[0]);
        blocked_strides(b, s, 1, &st->in_shape[1]);
    } else {
        memcpy(dims, y->dim, sizeof(dims[0]) * (size_t)rank);
        md_shape_broadcast_strides(a, &st->in_shape[0], y);
        md_shape_broadcast_strides(b, &st->in_shape[1], y);
    }
    if (rank == 0) { /* a scalar is a row of one */
        rank = 1;
        dims[0] = 1;
        a[0] = b[0] = 0;
    }
    g->kernel = s->kernel;
    g->op = s->op;
    md_broadcast_init(&g->shape, rank, dims, a, b);
    md_broadcast_share(&g->shape, width);
    st->n_chunks = md_broadcast_n_chunks(&g->shape);
    st->n_more[0] = s->first_pad > 0 ? y->dim[0] : 0;
    return MD_OK;
}

/* Zero the padding lanes of batch element i. */
static void clear_padding(const md_step *st, int first, int64_t i)
{
    const md_shape *y = &st->out_shape[0];
    int64_t pixels = y->dim[2] * y->dim[3];
    int64_t n_blocks = md_div_up(y->dim[1], MD_BLOCK);
    float *p = st->out[0];

    p += ((i + 1) * n_blocks - 1) * pixels * MD_BLOCK;
    for (int64_t k = 0; k < pixels; k++, p += MD_BLOCK)
        memset(p + first, 0, (size_t)(MD_BLOCK - first) * sizeof(*p));
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    md_binary_f32_args g = *(const md_binary_f32_args *)st->args;

    (void)scratch;
    if (st->phase == 1) {
        clear_padding(st, s->first_pad, chunk);
        return;
    }
    g.a = s->constant[0] ? s->constant[0] : st->in[0];
    g.b = s->constant[1] ? s->constant[1] : st->in[1];
    g.y = st->out[0];
    md_binary_f32_run(&g, chunk);
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_binary = { lower, plan, run, release, inplace };
