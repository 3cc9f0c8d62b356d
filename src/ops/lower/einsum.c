/*
 * Einsum of one or two operands of float32 or float64.  Two are a batch of matrix products,
 * and so is one with sums: by a 1.  One without them is moved.
 *
 * A label of both operands and the output counts products, one of an operand
 * and the output rows or columns, one that the output lacks is summed over.
 * An operand whose rows and columns are no plain strides then is copied
 * first, a result behind.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/reorder.h"
#include "ops/common/einsum.h"
#include "ops/lower/common.h"
#include "ops/lower/products.h"

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    const md_gemm_f64_kernel *f64; /* not NULL: doubles, by this one */
    bool strict;
} state;

enum { /* the matrices of a product */
    LEFT,
    RIGHT,
    OUT,
    N_SIDES
};

/* Labels of one role, outermost first. */
typedef struct group {
    int n;
    int64_t dim[MD_EINSUM_LABELS];
    int64_t stride[N_SIDES][MD_EINSUM_LABELS]; /* 0: the side has it not */
} group;

/* A side that is not where the products want it. */
typedef struct detour {
    bool taken;
    md_shape dims; /* [products][rows][columns], each one or several dims */
    int64_t stride[MD_RANK_MAX]; /* of the tensor */
    int64_t dense[MD_RANK_MAX];  /* of the copy */
    size_t at;                   /* of the copy, in shared memory */
} detour;

typedef struct args {
    group batch, rows, cols, sums;
    int source[N_SIDES]; /* operand on the left, on the right */
    detour detour[N_SIDES];
    bool empty_sum; /* nothing is added up: zeros */
    bool moves;     /* the rows are the left operand's elements */
    int64_t step;   /* of them in a chunk, along the outermost */
    int n_before;   /* phases in front of the products */
    md_products p;
} args;

static md_status lower(md_lower *lo, md_error *err)
{
    md_dtype type = lo->in[0] ? lo->in[0]->dtype : MD_DTYPE_NONE;
    state *s;

    if (lo->node->n_in > 2 || (type != MD_DTYPE_F32 && type != MD_DTYPE_F64) ||
        !md_lower__is(lo, 0, type, -1) ||
        (lo->node->n_in == 2 && !md_lower__is(lo, 1, type, -1)))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs one or two operands of float32 or float64");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    lo->kernel = s->kernel->name;
    if (type == MD_DTYPE_F64) {
        s->f64 = md_gemm_f64_select(lo->cpu);
        lo->kernel = s->f64->name;
    }
    return MD_OK;
}

/* --- roles ------------------------------------------------------------- */

/* Strides of every label in a term; several axes of one add up. */
static void label_strides(int64_t stride[MD_EINSUM_LABELS],
                          const md_einsum_term *t, const md_shape *s)
{
    int64_t own[MD_RANK_MAX];

    memset(stride, 0, sizeof(*stride) * MD_EINSUM_LABELS);
    md_shape_strides(own, s);
    for (int d = 0; d < t->n; d++)
        stride[t->label[d]] += s->dim[d] == 1 ? 0 : own[d];
}

static void add(group *g, int64_t dim, int64_t left, int64_t right, int64_t out)
{
    g->dim[g->n] = dim;
    g->stride[LEFT][g->n] = left;
    g->stride[RIGHT][g->n] = right;
    g->stride[OUT][g->n++] = out;
}

/* Give each label its role: first those of the output, in its order, then
 * the sums, in the order of the left operand and of the right one. */
static void set_roles(args *a, const md_einsum *e, const md_einsum_term *terms,
                      int64_t stride[N_SIDES][MD_EINSUM_LABELS])
{
    const md_einsum_term *in[] = { &terms[a->source[LEFT]],
                                   &terms[a->source[RIGHT]] };
    bool seen[MD_EINSUM_LABELS] = { false };

    for (int i = 0; i < e->out.n; i++) {
        const int l = e->out.label[i];
        const int64_t x = stride[LEFT][l], y = stride[RIGHT][l];
        group *g = x && y ? &a->batch : y ? &a->cols : &a->rows;

        seen[l] = true;
        if (e->dim[l].k != 1)
            add(g, e->dim[l].k, x, y, stride[OUT][l]);
    }
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < in[k]->n; i++) {
            const int l = in[k]->label[i];

            if (seen[l])
                continue;
            seen[l] = true;
            a->empty_sum = a->empty_sum || e->dim[l].k == 0;
            if (e->dim[l].k != 1)
                add(&a->sums, e->dim[l].k, stride[LEFT][l], stride[RIGHT][l],
                    0);
        }
    }
}

static int64_t count(const group *g)
{
    int64_t n = 1;

    for (int i = 0; i < g->n; i++)
        n *= g->dim[i];
    return n;
}

/* The one stride of a group's elements in a side; false if they have none. */
static bool merged(int64_t *out, const group *g, int side)
{
    *out = g->n ? g->stride[side][g->n - 1] : 1;
    for (int i = 1; i < g->n; i++) {
        if (g->stride[side][i - 1] != g->stride[side][i] * g->dim[i])
            return false;
    }
    return true;
}

/* --- plan -------------------------------------------------------------- */

/* Append a group's dims to a copy of a side; labels that it lacks are left
 * out where `own` says so. */
static bool append(detour *d, const group *g, int side, bool own)
{
    for (int i = 0; i < g->n; i++) {
        if (own && g->stride[side][i] == 0)
            continue;
        if (d->dims.rank == MD_RANK_MAX)
            return false;
        d->dims.dim[d->dims.rank] = g->dim[i];
        d->stride[d->dims.rank++] = g->stride[side][i];
    }
    return true;
}

static size_t element_size(const md_step *st)
{
    return st->in_dtype[0] == MD_DTYPE_F64 ? sizeof(double) : sizeof(float);
}

/* Copy a side as [batch][first][second], rows after each other. */
static md_status take_detour(md_step *st, args *a, int side, const group *first,
                             const group *second, md_error *err)
{
    detour *d = &a->detour[side];
    size_t size;

    if (!append(d, &a->batch, side, true) || !append(d, first, side, false) ||
        !append(d, second, side, false))
        return md_fail(err, MD_TOO_LARGE, "operand has more than %d labels",
                       MD_RANK_MAX);
    d->taken = true;
    md_shape_strides(d->dense, &d->dims);
    d->at = st->shared_size;
    if (!md_mul_size(&size, (size_t)md_shape_n(&d->dims), element_size(st)) ||
        !md_add_size(&size, size, MD_CACHE_LINE) ||
        !md_add_size(&st->shared_size, st->shared_size,
                     size & ~(size_t)(MD_CACHE_LINE - 1)))
        return md_fail_nomem(err, SIZE_MAX);
    return MD_OK;
}

/* Steps of a side from product to product. */
static void set_steps(int64_t *step, const args *a, int side, int64_t matrix)
{
    const group *g = &a->batch;

    for (int i = g->n; i-- > 0;) {
        step[i] = a->detour[side].taken ? matrix : g->stride[side][i];
        matrix *= g->dim[i];
    }
}

static md_status set_products(md_step *st, args *a, md_error *err)
{
    const state *s = st->state;
    md_products *p = &a->p;
    int64_t unit;

    *p = (md_products){ .kernel = s->kernel,
                        .f64 = s->f64,
                        .scale = 1.0,
                        .strict = s->strict,
                        .m = count(&a->rows),
                        .n = count(&a->cols),
                        .k = count(&a->sums),
                        .rank = a->batch.n };
    if (!merged(&p->a_row, &a->rows, LEFT) ||
        !merged(&p->a_col, &a->sums, LEFT)) {
        MD_TRY(take_detour(st, a, LEFT, &a->rows, &a->sums, err));
        p->a_row = p->k;
        p->a_col = 1;
    }
    if (!merged(&p->b_row, &a->sums, RIGHT) ||
        !merged(&p->b_col, &a->cols, RIGHT)) {
        MD_TRY(take_detour(st, a, RIGHT, &a->sums, &a->cols, err));
        p->b_row = p->n;
        p->b_col = 1;
    }
    if (!merged(&p->c_row, &a->rows, OUT) || !merged(&unit, &a->cols, OUT) ||
        unit != 1 || (a->rows.n && p->c_row < p->n)) {
        MD_TRY(take_detour(st, a, OUT, &a->rows, &a->cols, err));
        p->c_row = p->n;
    }
    if (!a->rows.n)
        p->c_row = p->n;
    if (a->batch.n > MD_RANK_MAX)
        return md_fail(err, MD_INTERNAL, "more than %d labels of products",
                       MD_RANK_MAX);
    memcpy(p->dim, a->batch.dim, sizeof(p->dim[0]) * (size_t)a->batch.n);
    set_steps(p->a_step, a, LEFT, p->m * p->k);
    set_steps(p->b_step, a, RIGHT, p->k * p->n);
    set_steps(p->c_step, a, OUT, p->m * p->n);
    return MD_OK;
}

/* The operand that is on the left: what the output's last label is not of, so
 * that columns are neighbours. */
static void choose_sides(args *a, const md_einsum *e,
                         int64_t stride[2][MD_EINSUM_LABELS])
{
    a->source[LEFT] = 0;
    a->source[RIGHT] = 1;
    for (int i = e->out.n; i-- > 0;) {
        const int l = e->out.label[i];

        if (e->dim[l].k == 1 || (stride[0][l] && stride[1][l]))
            continue;
        a->source[LEFT] = stride[0][l] ? 1 : 0;
        a->source[RIGHT] = 1 - a->source[LEFT];
        return;
    }
}

/* One operand, without sums. */
static void plan_move(md_step *st, args *a, int width)
{
    const int64_t n = count(&a->rows), outer = a->rows.n ? a->rows.dim[0] : 1;

    a->moves = true;
    st->n_chunks = md_step__chunks(n / 2, outer, width);
    a->step = md_div_up(outer, st->n_chunks);
}

/* Which labels do what. */
static md_status read_roles(const md_step *st, args *a, md_error *err)
{
    int64_t in[2][MD_EINSUM_LABELS] = { { 0 } };
    int64_t stride[N_SIDES][MD_EINSUM_LABELS];
    const md_type *list[2];
    md_einsum_term terms[2] = { { 0 } };
    const md_infer c = { .node = st->node, .in = list };
    md_type types[2];
    md_einsum e;

    for (uint32_t i = 0; i < st->node->n_in; i++) {
        types[i] = md_type_of_tensor(st->in_dtype[i], &st->in_shape[i]);
        list[i] = &types[i];
    }
    MD_TRY(md_einsum__read(&e, terms, &c, err));
    for (uint32_t i = 0; i < st->node->n_in; i++)
        label_strides(in[i], &terms[i], &st->in_shape[i]);
    a->source[RIGHT] = 1;
    if (st->node->n_in > 1)
        choose_sides(a, &e, in);
    memcpy(stride[LEFT], in[a->source[LEFT]], sizeof(stride[LEFT]));
    memcpy(stride[RIGHT], in[a->source[RIGHT]], sizeof(stride[RIGHT]));
    label_strides(stride[OUT], &e.out, &st->out_shape[0]);
    set_roles(a, &e, terms, stride);
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    MD_TRY(read_roles(st, a, err));
    if (a->empty_sum) {
        st->n_chunks = 1;
        return MD_OK;
    }
    if (st->node->n_in == 1 && a->sums.n == 0) {
        plan_move(st, a, width);
        return MD_OK;
    }
    MD_TRY(set_products(st, a, err));
    a->n_before = a->detour[LEFT].taken || a->detour[RIGHT].taken;
    if (a->n_before)
        st->n_chunks = 2;
    MD_TRY(md_products__plan(&a->p, st, a->n_before, width, err));
    if (a->detour[OUT].taken)
        st->n_more[a->n_before + md_products__n_phases(&a->p) - 1] = 1;
    return MD_OK;
}

/* --- run --------------------------------------------------------------- */

/* A side's tensor in its dense form, and back. */
static void load(const md_step *st, const detour *d, const void *tensor)
{
    md_transpose((char *)st->shared + d->at, tensor, d->dims.rank, d->dims.dim,
                 d->stride, (int)element_size(st));
}

static void store(const md_step *st, const detour *d)
{
    md_tensor t = { .dtype = st->in_dtype[0], .data = st->out[0] };
    md_tensor copy = { .dtype = st->in_dtype[0],
                       .data = (char *)st->shared + d->at };
    md_place there = { .t = &t }, from = { .t = &copy };

    memcpy(there.stride, d->stride, sizeof(there.stride));
    memcpy(from.stride, d->dense, sizeof(from.stride));
    md_move(&there, &from, &d->dims);
}

static const void *operand(const md_step *st, int which)
{
    /* what a single operand is multiplied by */
    static const float one = 1.0f;
    static const double one_f64 = 1.0;
    const args *a = st->args;

    if ((uint32_t)a->source[which] < st->node->n_in)
        return st->in[a->source[which]];
    return a->p.f64 ? (const void *)&one_f64 : &one;
}

static void *dense(const md_step *st, const detour *d)
{
    return (char *)st->shared + d->at;
}

static const void *side(const md_step *st, int which)
{
    const args *a = st->args;

    return a->detour[which].taken ? dense(st, &a->detour[which])
                                  : operand(st, which);
}

/* Elements in the output's order, from place chunk * step of the outermost
 * label on. */
static void move(const md_step *st, int64_t chunk)
{
    const args *a = st->args;
    const group *g = &a->rows;
    int64_t dim[MD_EINSUM_LABELS] = { 1 };
    const size_t size = element_size(st);
    int64_t from = chunk * a->step, row;

    memcpy(dim, g->dim, sizeof(dim[0]) * (size_t)g->n);
    row = count(g) / dim[0];
    dim[0] = md_min_i64(a->step, dim[0] - from);
    if (dim[0] > 0)
        md_transpose((char *)st->out[0] + (size_t)(from * row) * size,
                     (const char *)st->in[0] +
                         (size_t)(from * g->stride[LEFT][0]) * size,
                     g->n, dim, g->stride[LEFT], (int)size);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const md_epilogue none = MD_EPILOGUE_INIT;

    if (a->empty_sum) {
        memset(st->out[0], 0,
               (size_t)md_shape_n(&st->out_shape[0]) * element_size(st));
    } else if (a->moves) {
        move(st, chunk);
    } else if (st->phase < a->n_before) {
        if (a->detour[chunk].taken)
            load(st, &a->detour[chunk], operand(st, (int)chunk));
    } else if (st->phase < a->n_before + md_products__n_phases(&a->p)) {
        md_products__run(&a->p, st, side(st, LEFT), side(st, RIGHT),
                         a->detour[OUT].taken ? dense(st, &a->detour[OUT])
                                              : st->out[0],
                         &none, chunk, scratch);
    } else {
        store(st, &a->detour[OUT]);
    }
}

const md_fast md_fast_einsum = { lower, plan, run, NULL, NULL };
