/*
 * Trees: read once at load.  Float features go through packed nodes with
 * vectors; others as the definition has them.  Rows are cut into blocks, whose
 * results do not depend on how many threads take them: a row's sums are always
 * taken in one order, that of the trees or, of full trees, that of
 * md_forest_full__add.
 */
#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "ops/lower/forest_full.h"

enum {
    BLOCK = 256, /* rows that go through one tree after another */
    FEW = 8      /* rows that rather go through many trees at once */
};

typedef struct state {
    md_forest forest;
    const md_tree_f32_kernel *kernel; /* NULL: by definition */
    md_tree_f32 all;                  /* from the first tree's root on */
    /* One target, one vote in each leaf: its weight, by node; else NULL. */
    double *weight;
    md_forest_full full;
} state;

typedef struct args {
    int64_t rows, n; /* of n features */
    int64_t step;    /* rows of a chunk */
} args;

/* The largest float that is not above v. */
static float round_down(double v)
{
    float f = (float)v;

    return (double)f > v ? nextafterf(f, -INFINITY) : f;
}

/* Bits for a number below n. */
static unsigned bits_for(uint64_t n)
{
    unsigned bits = 0;

    while (bits < 63 && UINT64_C(1) << bits < n)
        bits++;
    return bits;
}

/* Nodes of the largest tree. */
static uint32_t largest_tree(const md_forest *f)
{
    uint32_t most = 1;

    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint32_t end = t + 1 < f->n_trees ? f->root[t + 1] : f->n_nodes;

        most = end - f->root[t] > most ? end - f->root[t] : most;
    }
    return most;
}

/* Bits for a child. */
static unsigned shift_of(const md_forest *f)
{
    unsigned bits = bits_for(largest_tree(f));

    return bits ? bits : 1;
}

static bool fits(const md_forest *f)
{
    return shift_of(f) + bits_for((uint64_t)f->n_features) <= 31 &&
           f->n_features <= MD_TREE_ROWS_STRIDE;
}

static md_status pack(state *s, md_lower *lo, md_error *err)
{
    const md_forest *f = &s->forest;
    unsigned shift = shift_of(f);
    md_tree_f32_node *nodes;

    MD_TRY(
        md_exec__scratch(&nodes, lo->arena, f->n_nodes, sizeof(*nodes), err));
    for (uint32_t t = 0, i = 0; t < f->n_trees; t++) {
        uint32_t end = t + 1 < f->n_trees ? f->root[t + 1] : f->n_nodes;

        for (; i < end; i++) {
            nodes[i].split = round_down(f->split[i]);
            nodes[i].word = (f->child[i] - f->root[t]) |
                            f->feature[i] << shift |
                            (f->nan_first[i] ? MD_TREE_NAN_FIRST : 0);
        }
    }
    s->all = (md_tree_f32){ nodes, 0, shift };
    for (uint32_t t = 0; t < f->n_trees; t++)
        s->all.depth = f->depth[t] > s->all.depth ? f->depth[t] : s->all.depth;
    s->kernel = md_tree_f32_select(lo->cpu);
    return MD_OK;
}

/* The short way from a leaf to its vote. */
static md_status pack_weights(state *s, md_lower *lo, md_error *err)
{
    const md_forest *f = &s->forest;
    bool adds = f->aggregate == MD_AGGREGATE_SUM ||
                f->aggregate == MD_AGGREGATE_AVERAGE;

    if (!adds || (f->n_targets > 1 && !(f->one_sided && f->side == 0)))
        return MD_OK;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        uint32_t leaf = f->leaf[i];

        if (f->child[i] == i && f->vote[leaf + 1] - f->vote[leaf] > 1)
            return MD_OK;
    }
    MD_TRY(md_exec__scratch(&s->weight, lo->arena, f->n_nodes,
                            sizeof(*s->weight), err));
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        uint32_t leaf = f->leaf[i];

        if (f->child[i] == i && f->vote[leaf + 1] > f->vote[leaf])
            s->weight[i] = f->weight[f->vote[leaf]];
    }
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_type *in = lo->in[0];
    state *s;

    if (in->dtype == MD_DTYPE_NONE)
        return md_fail(err, MD_UNSUPPORTED, "element type not known");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    MD_TRY(md_forest__make(&s->forest, lo->node, lo->alloc, lo->arena, err));
    if (in->has_rank && in->rank > 0 && md_dim_is_const(in->dim[in->rank - 1]))
        MD_TRY(md_forest__check(&s->forest, in->dim[in->rank - 1].k, err));
    lo->kernel = "trees";
    if (in->dtype != MD_DTYPE_F32) {
        lo->why = "needs float32";
        return MD_OK;
    }
    if (!fits(&s->forest)) {
        lo->why = "too many nodes and features to pack";
        return MD_OK;
    }
    MD_TRY(pack(s, lo, err));
    MD_TRY(pack_weights(s, lo, err));
    MD_TRY(md_forest_full__make(&s->full, &s->forest, lo, err));
    lo->kernel = s->kernel->name;
    return MD_OK;
}

/* Memory of a chunk. */
typedef struct scratch {
    double *sum; /* [rows, n_targets], and [n_features] of a row */
    double *row;
    uint32_t *leaf; /* [rows] or [trees] */
    uint8_t *has;   /* [rows, n_targets] */
} scratch;

static int64_t n_leaves(const state *s, int64_t block)
{
    const int64_t trees =
        s->full.fits ? md_forest_full__n_leaves(&s->full) : s->forest.n_trees;

    return block > trees ? block : trees;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_forest *f = &s->forest;
    const md_shape *x = &st->in_shape[0];
    int64_t block, leaves, bytes;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->n = x->dim[x->rank - 1];
    a->rows = x->rank == 2 ? x->dim[0] : 1;
    MD_TRY(md_forest__check(f, a->n, err));
    /* A tree costs a row some 2 ns a step. */
    st->n_chunks = md_step__chunks(a->rows * f->n_trees * 16,
                                   md_div_up(a->rows, FEW), width);
    a->step = md_div_up(a->rows, st->n_chunks ? st->n_chunks : 1);
    block = a->step < BLOCK ? a->step : BLOCK;
    leaves = n_leaves(s, block);
    if (!md_mul_i64(&bytes, block, f->n_targets) ||
        !md_mul_i64(&bytes, bytes, 9) ||
        !md_add_i64(&bytes, bytes, 8 * a->n + 4 * leaves + 64))
        return md_fail(err, MD_TOO_LARGE, "%lld sums of %lld targets",
                       (long long)block, (long long)f->n_targets);
    st->scratch_size = (size_t)bytes;
    return MD_OK;
}

static scratch cut_scratch(const state *s, const args *a, void *memory)
{
    int64_t block = a->step < BLOCK ? a->step : BLOCK;
    int64_t n_sums = block * s->forest.n_targets;
    int64_t leaves = n_leaves(s, block);
    scratch t = { .sum = memory };

    t.row = t.sum + n_sums;
    t.leaf = (uint32_t *)(t.row + a->n);
    t.has = (uint8_t *)(t.leaf + leaves);
    return t;
}

/* The sums of n rows, whose leaves in one tree are known by node. */
static void add_tree(const state *s, uint32_t tree, const scratch *t, int64_t n)
{
    const md_forest *f = &s->forest;
    uint32_t root = f->root[tree];
    int64_t k = f->n_targets;

    if (s->weight) {
        const double *w = s->weight + root;

        for (int64_t r = 0; r < n; r++)
            t->sum[r * k] += w[t->leaf[r]];
        return;
    }
    for (int64_t r = 0; r < n; r++)
        md_forest__vote(f, f->leaf[root + t->leaf[r]], t->sum + r * k,
                        t->has + r * k);
}

/* One row through all trees. */
static void run_row(const state *s, const scratch *t, const float *x)
{
    const md_forest *f = &s->forest;

    s->kernel->trees(t->leaf, &s->all, f->root, f->n_trees, x);
    for (uint32_t i = 0; i < f->n_trees; i++) {
        uint32_t at = f->root[i] + t->leaf[i];

        if (s->weight)
            t->sum[0] += s->weight[at];
        else
            md_forest__vote(f, f->leaf[at], t->sum, t->has);
    }
}

/* A block of rows through one tree after another. */
static void run_rows(const state *s, const args *a, const scratch *t,
                     const float *x, int64_t n)
{
    const md_forest *f = &s->forest;

    for (uint32_t i = 0; i < f->n_trees; i++) {
        md_tree_f32 tree = { s->all.nodes + f->root[i], f->depth[i],
                             s->all.shift };

        s->kernel->rows(t->leaf, &tree, x, n, a->n);
        add_tree(s, i, t, n);
    }
}

static bool has_nan(const float *x, int64_t n)
{
    int any = 0;

    MD_SIMD_OR(any)
    for (int64_t i = 0; i < n; i++)
        any |= x[i] != x[i];
    return any != 0;
}

/* Rows through full trees; one with NaN through those that know it. */
static void run_full(const state *s, const args *a, const scratch *t,
                     const float *x, int64_t n)
{
    const md_forest *f = &s->forest;
    const int64_t k = f->n_targets;
    md_tree_f32_full trees = s->full.f;

    trees.n_features = (uint32_t)a->n;
    for (int64_t r = 0; r < n; r++, x += a->n) {
        if (!has_nan(x, a->n)) {
            s->kernel->full(t->leaf, &trees, x);
        } else {
            s->kernel->trees(t->leaf, &s->all, f->root, f->n_trees, x);
            for (uint32_t i = 0; i < f->n_trees; i++)
                t->leaf[i] = md_forest_full__value(
                    &s->full, f, f->leaf[f->root[i] + t->leaf[i]]);
        }
        md_forest_full__add(&s->full, f, t->leaf, t->sum + r * k,
                            t->has + r * k);
    }
}

static void run_defined(const state *s, const args *a, const scratch *t,
                        const md_tensor *x, int64_t from, int64_t n)
{
    const md_forest *f = &s->forest;
    int64_t k = f->n_targets;

    for (int64_t r = 0; r < n; r++) {
        md_forest__load(t->row, x, (from + r) * a->n, a->n);
        for (uint32_t i = 0; i < f->n_trees; i++)
            md_forest__vote(f, md_forest__find(f, i, t->row), t->sum + r * k,
                            t->has + r * k);
    }
}

static void run_block(const md_step *st, const scratch *t, int64_t from,
                      int64_t n)
{
    const state *s = st->state;
    const md_forest *f = &s->forest;
    const args *a = st->args;
    int64_t k = f->n_targets;
    uint32_t scores = f->labels.n ? 1 : 0;
    md_tensor z = { .dtype = MD_DTYPE_NONE }, x = { .dtype = st->in_dtype[0] };
    bool has_z = scores < st->node->n_out && st->out[scores];

    for (int64_t r = 0; r < n; r++)
        md_forest__clear(f, t->sum + r * k, t->has + r * k);
    x.data = st->in[0];
    if (!s->kernel || a->n > MD_TREE_ROWS_STRIDE) {
        run_defined(s, a, t, &x, from, n);
    } else {
        const float *rows = (const float *)st->in[0] + from * a->n;

        if (s->full.fits) {
            run_full(s, a, t, rows, n);
        } else if (n < FEW) {
            for (int64_t r = 0; r < n; r++) {
                scratch one = { t->sum + r * k, t->row, t->leaf,
                                t->has + r * k };

                run_row(s, &one, rows + r * a->n);
            }
        } else {
            run_rows(s, a, t, rows, n);
        }
    }
    if (has_z) {
        z.dtype = st->out_dtype[scores];
        z.data = st->out[scores];
    }
    for (int64_t r = 0; r < n; r++)
        md_forest__finish(f, t->sum + r * k, f->labels.n ? st->out[0] : NULL,
                          has_z ? &z : NULL, from + r);
}

static void run(const md_step *st, int64_t chunk, void *memory)
{
    const args *a = st->args;
    scratch t = cut_scratch(st->state, a, memory);
    int64_t end = md_min_i64(a->rows, (chunk + 1) * a->step);

    for (int64_t r = chunk * a->step; r < end; r += BLOCK)
        run_block(st, &t, r, md_min_i64(BLOCK, end - r));
}

const md_fast md_fast_forest = { lower, plan, run, NULL, NULL };
