/*
 * ConvTranspose in float32.  Outputs whose position has the same remainder by
 * the stride in every axis (a part) are an ordinary convolution of stride 1
 * with the taps that reach them: each part is unfolded and multiplied as in
 * conv_rows.c, and every output is written once: where parts that differ in
 * the last axis only are equal in size, a row of them together.
 *
 * The weights of a part, [group][oc / group][channels * taps], have the bias
 * as one more column, which meets a row of ones.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "kernels/turn.h"
#include "ops/common/deconvolve.h"
#include "ops/lower/common.h"
#include "ops/lower/unfold.h"

enum {
    PARTS_MAX = 1024 /* with more, taps meet few outputs each */
};

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    const md_turn_kernel *turn;
    bool has_bias, strict;
    float *w; /* of all parts; NULL: arranged in every run */
} state;

typedef struct part {
    md_unfold u;
    int64_t first[MD_SPATIAL_MAX]; /* its first output */
    int64_t k;                     /* columns of its weights */
    const int64_t *tap[MD_SPATIAL_MAX];
    int64_t w;        /* where its weights begin, in floats */
    int64_t n_blocks; /* of a group */
    int64_t n_same;   /* this part and those behind it that read the same, as
                       * where kernel and stride are equal: the first unfolds
                       * for all of them */
    int64_t n_set;    /* of the first of a set: parts that a chunk computes */
} part;

typedef struct args {
    md_convolve v;
    int64_t n_parts, step;
    int64_t k;        /* the largest of the parts */
    int64_t n_join;   /* parts whose outputs take turns along a row, or 1 */
    int64_t n_blocks; /* of a group, over all parts */
    bool dense;       /* there is one part, which is the output */
    part *parts;
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->w);
}

/* --- parts ------------------------------------------------------------- */

/* The taps of axis i whose distance is `rest` by the stride, and where they
 * read from output `first` on. */
static md_status set_axis(part *p, const md_convolve *v, int i, int64_t rest,
                          md_arena *ar, md_error *err)
{
    const md_window *w = &v->w;
    const int64_t s = w->stride[i];
    md_unfold_axis *a = &p->u.axis[i];
    int64_t *lists =
        md_arena_calloc(ar, (size_t)w->kernel[i] * 2, sizeof(*lists));
    int64_t *tap = lists, *offset;

    if (!lists)
        return md_fail_nomem(err, (size_t)w->kernel[i] * sizeof(*lists));
    offset = lists + w->kernel[i];
    p->first[i] = (rest - w->lo[i] % s + s) % s;
    *a = (md_unfold_axis){ .in = v->in[i], .stride = 1, .offset = offset };
    a->out = md_div_up(md_max_i64(v->out[i] - p->first[i], 0), s);
    for (int64_t t = 0; t < w->kernel[i]; t++) {
        int64_t at = t * w->dilation[i];

        if (at % s != rest)
            continue;
        tap[a->n_taps] = t;
        offset[a->n_taps++] = (p->first[i] + w->lo[i] - at) / s;
    }
    p->tap[i] = tap;
    return MD_OK;
}

/* Do both read the same columns? */
static bool same_columns(const part *p, const part *q)
{
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        const md_unfold_axis *a = &p->u.axis[i], *b = &q->u.axis[i];

        if (a->out != b->out || a->n_taps != b->n_taps ||
            memcmp(a->offset, b->offset,
                   (size_t)a->n_taps * sizeof(*a->offset)) != 0)
            return false;
    }
    return true;
}

/* All parts, in the order of their remainders. */
static md_status set_parts(args *a, bool has_bias, md_arena *ar, md_error *err)
{
    const md_convolve *v = &a->v;
    const int64_t *s = v->w.stride;
    int64_t at = 0;

    a->n_parts = s[0] * s[1] * s[2];
    a->parts = md_arena_calloc(ar, (size_t)a->n_parts, sizeof(*a->parts));
    if (!a->parts)
        return md_fail_nomem(err, (size_t)a->n_parts * sizeof(*a->parts));
    for (int64_t i = 0; i < a->n_parts; i++) {
        part *p = &a->parts[i];

        MD_TRY(set_axis(p, v, 0, i / s[2] / s[1], ar, err));
        MD_TRY(set_axis(p, v, 1, i / s[2] % s[1], ar, err));
        MD_TRY(set_axis(p, v, 2, i % s[2], ar, err));
        p->u.n_channels = v->c / v->group;
        p->u.has_ones = has_bias;
        p->k = md_unfold_k(&p->u);
        p->w = at;
        at += v->oc * p->k;
    }
    return MD_OK;
}

/* Floats of the weights of all parts. */
static bool weights_size(size_t *out, const md_shape *w, int64_t n_parts,
                         int64_t oc, bool has_bias)
{
    size_t bias;

    return md_mul_size(&bias, (size_t)n_parts * has_bias, (size_t)oc) &&
           md_add_size(out, (size_t)md_shape_n(w), bias) &&
           md_mul_size(out, *out, sizeof(float));
}

/* --- weights ----------------------------------------------------------- */

/* Row o of a part's weights: w is [channel][oc / group][taps] from the first
 * channel of its group on. */
static float *arrange_row(float *to, const md_convolve *v, const part *p,
                          const float *w, int64_t o)
{
    const int64_t *k = v->w.kernel;
    const int64_t taps = k[0] * k[1] * k[2], og = v->oc / v->group;

    for (int64_t c = 0; c < p->u.n_channels; c++) {
        const float *from = w + (c * og + o) * taps;

        for (int64_t z = 0; z < p->u.axis[0].n_taps; z++) {
            for (int64_t y = 0; y < p->u.axis[1].n_taps; y++) {
                int64_t row = (p->tap[0][z] * k[1] + p->tap[1][y]) * k[2];

                for (int64_t x = 0; x < p->u.axis[2].n_taps; x++)
                    *to++ = from[row + p->tap[2][x]];
            }
        }
    }
    return to;
}

static void arrange(float *to, const args *a, const float *w, const float *bias)
{
    const md_convolve *v = &a->v;
    const int64_t og = v->oc / v->group, cg = v->c / v->group;
    const int64_t taps = v->w.kernel[0] * v->w.kernel[1] * v->w.kernel[2];

    for (int64_t i = 0; i < a->n_parts; i++) {
        for (int64_t o = 0; o < v->oc; o++) {
            to = arrange_row(to, v, &a->parts[i], w + o / og * cg * og * taps,
                             o % og);
            if (bias)
                *to++ = bias[o];
        }
    }
}

/* Sizes as far as the weights need them: the input may not be known. */
static md_status arrange_constants(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    const md_tensor *b = md_lower__const(lo, 2, MD_DTYPE_F32);
    args a = { .v = { .group = md_node_attr_i(lo->node, "group", 1) } };
    md_status st;
    md_arena ar;
    size_t size = 0;

    if (!w || (s->has_bias && !b))
        return MD_OK;
    a.v.c = w->shape.dim[0];
    a.v.oc = w->shape.dim[1] * a.v.group;
    MD_TRY(md_window__parse(&a.v.w, lo->node, w->shape.rank - 2,
                            w->shape.dim + 2, err));
    md_window__widen(&a.v.w);
    md_arena_init(&ar, lo->alloc, 0);
    st = set_parts(&a, s->has_bias, &ar, err);
    if (st == MD_OK &&
        !weights_size(&size, &w->shape, a.n_parts, a.v.oc, s->has_bias))
        st = md_fail_nomem(err, SIZE_MAX);
    if (st == MD_OK) {
        s->w = md_malloc_aligned(lo->alloc, size + MD_CACHE_LINE);
        if (s->w)
            arrange(s->w, &a, w->data, b ? b->data : NULL);
        else
            st = md_fail_nomem(err, size);
    }
    md_arena_release(&ar);
    lo->packed[1] = st == MD_OK;
    return st;
}

static bool few_parts(const md_lower *lo)
{
    int64_t n = 1;

    for (uint32_t i = 0; i + 2 < (uint32_t)lo->in[0]->rank; i++) {
        int64_t s = md_lower__ints_at(lo->node, "strides", i, 1);

        n *= md_min_i64(s, PARTS_MAX + 1);
    }
    return n <= PARTS_MAX;
}

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) ||
        !md_lower__is(lo, 1, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    if (!few_parts(lo))
        return md_fail(err, MD_UNSUPPORTED, "the strides are too long");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->turn = md_turn_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    s->has_bias = lo->node->n_in > 2 && lo->in[2];
    lo->kernel = s->kernel->name;
    return arrange_constants(s, lo, err);
}

/* --- plan and run ------------------------------------------------------ */

/* Parts that read the same, in sets of whole rows; how many sets, and the most
 * columns of a part and parts of a set. */
static int64_t set_sets(args *a, int64_t *n, int64_t *most)
{
    int64_t n_sets = 0;

    a->n_join = a->v.out[2] % a->v.w.stride[2] == 0 ? a->v.w.stride[2] : 1;
    for (int64_t i = a->n_parts; i-- > 0;) {
        part *p = &a->parts[i];

        p->n_same = 1;
        if (i + 1 < a->n_parts && same_columns(p, p + 1))
            p->n_same += p[1].n_same;
        a->k = md_max_i64(a->k, p->k);
        *n = md_max_i64(*n, md_unfold_n(&p->u));
    }
    for (int64_t i = 0; i < a->n_parts; i += a->parts[i].n_set, n_sets++) {
        part *p = &a->parts[i];

        p->n_set = md_div_up(p->n_same, a->n_join) * a->n_join;
        *most = md_max_i64(*most, p->n_set);
    }
    return n_sets;
}

/* Blocks that fit the cache, and as many as threads can use. */
static md_status cut(md_step *st, args *a, int width, md_error *err)
{
    const state *s = st->state;
    const int64_t groups = a->v.n * a->v.group;
    const int64_t og = a->v.oc / a->v.group;
    int64_t n = 1, most = 1, n_sets, column;
    size_t size;

    n_sets = set_sets(a, &n, &most);
    a->dense = a->n_parts == 1;
    column = md_max_i64(a->k + (a->dense ? 0 : most * og), 1);
    a->step = md_unfold_step(
        n, column, a->k, og, s->kernel->nr,
        md_div_up((int64_t)width * 2, groups * md_max_i64(n_sets, 1)));
    for (int64_t i = 0; i < a->n_parts; i += a->parts[i].n_set) {
        part *p = &a->parts[i];

        p->n_blocks = md_div_up(md_unfold_n(&p->u), a->step);
        a->n_blocks += p->n_blocks;
    }
    if (!md_mul_size(&size, (size_t)a->step * sizeof(float), (size_t)column))
        return md_fail_nomem(err, SIZE_MAX);
    st->scratch_size = size;
    st->n_chunks = groups * a->n_blocks;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(md_deconvolve__sizes(&a->v, st->node, &st->in_shape[0],
                                &st->in_shape[1], err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    MD_TRY(set_parts(a, s->has_bias, arena, err));
    MD_TRY(cut(st, a, width, err));
    if (s->w)
        return MD_OK;
    if (!weights_size(&st->shared_size, &st->in_shape[1], a->n_parts, a->v.oc,
                      s->has_bias))
        return md_fail_nomem(err, SIZE_MAX);
    st->n_more[0] = st->n_chunks; /* behind arranging */
    st->n_chunks = 1;
    return MD_OK;
}

/* Columns n0 .. n1 of n_join parts from p on, c[n_join][og][n1 - n0] in the
 * order of their outputs, to their places in y. */
static void spread(const md_step *st, const part *p, float *y, const float *c,
                   int64_t n0, int64_t n1)
{
    const state *s = st->state;
    const args *a = st->args;
    const md_convolve *v = &a->v;
    const int64_t *stride = v->w.stride;
    const int64_t out = v->out[0] * v->out[1] * v->out[2];
    const int64_t row = p->u.axis[2].out, og = v->oc / v->group;
    const int64_t first = a->n_join > 1 ? 0 : p->first[2];

    for (int64_t o = 0; o < og; o++, y += out, c += n1 - n0) {
        for (int64_t n = n0; n < n1;) {
            int64_t x = n % row, z = n / row / p->u.axis[1].out;
            int64_t run = md_min_i64(row - x, n1 - n);
            float *to = y +
                        ((p->first[0] + z * stride[0]) * v->out[1] +
                         p->first[1] + n / row % p->u.axis[1].out * stride[1]) *
                            v->out[2] +
                        first + x * stride[2];

            s->turn->run(&(md_turn_args){ .y = to,
                                          .x = c + (n - n0),
                                          .y_stride = stride[2],
                                          .x_stride = og * (n1 - n0),
                                          .rows = run,
                                          .columns = a->n_join,
                                          .size = sizeof(float) });
            n += run;
        }
    }
}

/* Columns n0 .. n1 of a part, unfolded in `panels`, to c. */
static void multiply(const md_step *st, const part *p, int64_t at,
                     const float *panels, float *c, int64_t n0, int64_t n1)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t og = a->v.oc / a->v.group;
    md_gemm_f32_args g = { .m = og,
                           .n = n1 - n0,
                           .k = p->k,
                           .lda = p->k,
                           .b = panels,
                           .ldc = a->dense ? md_unfold_n(&p->u) : n1 - n0,
                           .ep = MD_EPILOGUE_INIT,
                           .strict = s->strict };

    g.c = c;
    g.a = (s->w ? s->w : (const float *)st->shared) + p->w +
          at % a->v.group * og * p->k;
    s->kernel->run(&g, 0, g.m, 0, g.n);
}

/* Columns from n0 on of the set that p is the first of. */
static void run_block(const md_step *st, const part *p, int64_t at, int64_t n0,
                      float *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t n1 = md_min_i64(md_unfold_n(&p->u), n0 + a->step);
    const int64_t in = a->v.in[0] * a->v.in[1] * a->v.in[2];
    const int64_t out = a->v.out[0] * a->v.out[1] * a->v.out[2];
    const int64_t og = a->v.oc / a->v.group, size = og * (n1 - n0);
    float *y = (float *)st->out[0] + at * og * out,
          *c = scratch + a->step * a->k;
    int64_t fresh = 0; /* the part from which on columns are not there */

    for (int64_t i = 0; i < p->n_set; i++) {
        const part *q = p + i;
        const int64_t place =
            a->n_join > 1 ? i / a->n_join * a->n_join + q->first[2] : i;

        if (i == fresh) {
            md_unfold_pack(scratch, &q->u,
                           (const float *)st->in[0] + at * q->u.n_channels * in,
                           n0, n1, s->kernel->nr);
            fresh += q->n_same;
        }
        multiply(st, q, at, scratch, a->dense ? y + n0 : c + place * size, n0,
                 n1);
    }
    for (int64_t i = 0; i < p->n_set && !a->dense; i += a->n_join)
        spread(st, p + i, y, c + i * size, n0, n1);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const part *p = a->parts;
    int64_t block = chunk % a->n_blocks;

    if (st->n_more[0] > 0 && st->phase == 0) {
        arrange(st->shared, a, st->in[1],
                st->node->n_in > 2 ? st->in[2] : NULL);
        return;
    }
    while (block >= p->n_blocks)
        block -= p++->n_blocks;
    run_block(st, p, chunk / a->n_blocks, block * a->step, scratch);
}

const md_fast md_fast_conv_transpose = { lower, plan, run, release, NULL };
