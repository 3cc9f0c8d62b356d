/*
 * The Reduce operators of float32.  Axes that lie side by side, and are all
 * kept or all reduced, count as one; the kernel takes what is then at most
 * two reduced axes among three that are kept.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/reduce_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_reduce_f32_kernel *kernel;
    md_reduce op;
    uint32_t axes; /* the reduced ones, as bits */
} state;

/* Axes: kept, reduced, kept, reduced, kept. */
enum {
    OUTER,
    FAR,
    MIDDLE,
    NEAR,
    INNER,
    PARTS
};

typedef struct args {
    int64_t n[PARTS];
    int64_t stride[PARTS];
    int64_t step; /* of a chunk: rows or, where there is one, columns */
    bool by_column;
} args;

enum {
    COLUMNS = 128 /* a chunk begins at a multiple: whole vectors */
};

static bool find_op(const char *name, md_reduce *op)
{
    static const char *const names[MD_REDUCE_COUNT] = {
        [MD_REDUCE_SUM] = "ReduceSum",
        [MD_REDUCE_MEAN] = "ReduceMean",
        [MD_REDUCE_MAX] = "ReduceMax",
        [MD_REDUCE_MIN] = "ReduceMin",
        [MD_REDUCE_PROD] = "ReduceProd",
        [MD_REDUCE_SUM_SQUARE] = "ReduceSumSquare",
        [MD_REDUCE_L1] = "ReduceL1",
        [MD_REDUCE_L2] = "ReduceL2",
        [MD_REDUCE_LOG_SUM] = "ReduceLogSum",
        [MD_REDUCE_LOG_SUM_EXP] = "ReduceLogSumExp",
    };

    for (int i = 0; i < MD_REDUCE_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *op = (md_reduce)i;
            return true;
        }
    }
    return false;
}

/* The reduced axes of the attribute or input, which inference has checked. */
static md_status find_axes(const md_lower *lo, uint32_t *bits, md_error *err)
{
    const md_node *n = lo->node;
    int rank = lo->in[0]->rank;
    bool input = n->n_in > 1 && lo->in[1];
    const md_tensor *t = md_lower__const(lo, 1, MD_DTYPE_I64);
    uint32_t count;
    const int64_t *axes = md_node_attr_is(n, "axes", &count);

    *bits = 0;
    if (input && !t)
        return md_fail(err, MD_UNSUPPORTED, "the axes are not constant");
    if (input) {
        axes = t->data;
        count = (uint32_t)md_tensor_n(t);
    }
    for (uint32_t i = 0; i < count; i++)
        *bits |= UINT32_C(1) << (axes[i] < 0 ? axes[i] + rank : axes[i]);
    if (count == 0 && !md_node_attr_i(n, "noop_with_empty_axes", 0))
        *bits = (UINT32_C(1) << rank) - 1;
    if (*bits == 0)
        return md_fail(err, MD_UNSUPPORTED, "no axis is reduced");
    return MD_OK;
}

/* Reduced axes that lie apart. */
static int count_groups(uint32_t bits, int rank)
{
    int n = 0;

    for (int i = 0; i < rank; i++)
        n += (bits >> i & 1) && (i == 0 || !(bits >> (i - 1) & 1));
    return n;
}

static md_status lower(md_lower *lo, md_error *err)
{
    uint32_t axes;
    md_reduce op;
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) || !find_op(lo->node->op, &op))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    MD_TRY(find_axes(lo, &axes, err));
    if (count_groups(axes, lo->in[0]->rank) > 2)
        return md_fail(err, MD_UNSUPPORTED, "more than two axes lie apart");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->op = op;
    s->axes = axes;
    s->kernel = md_reduce_f32_select(lo->cpu);
    lo->kernel = s->kernel->name;
    return MD_OK;
}

/* From the last axis on; axes of 1 are neither kept nor reduced.  Parts that
 * do not occur have one element. */
static void split_axes(args *a, const md_shape *x, uint32_t axes)
{
    int part = INNER;
    int64_t stride = 1;

    for (int i = 0; i < PARTS; i++)
        a->n[i] = 1;
    for (int i = x->rank; i-- > 0;) {
        bool gone = axes >> i & 1;

        if (x->dim[i] == 1)
            continue;
        if (gone != (part == NEAR || part == FAR))
            part--;
        a->n[part] *= x->dim[i];
    }
    for (int i = PARTS; i-- > 0;) {
        a->stride[i] = stride;
        stride *= a->n[i];
    }
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    int64_t rows, work;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    split_axes(a, &st->in_shape[0], s->axes);
    rows = a->n[OUTER] * a->n[MIDDLE];
    work = rows * a->n[FAR] * a->n[NEAR] * a->n[INNER] / 8;
    if (s->op == MD_REDUCE_LOG_SUM_EXP)
        work *= 4;
    a->by_column = rows == 1 && a->n[INNER] > 1;
    rows = a->by_column ? md_div_up(a->n[INNER], COLUMNS) : rows;
    if (rows == 0 || a->n[INNER] == 0) {
        st->n_chunks = 0;
        return MD_OK;
    }
    st->n_chunks = md_step__chunks(work, rows, width);
    a->step = md_div_up(rows, st->n_chunks) * (a->by_column ? COLUMNS : 1);
    return MD_OK;
}

static void run_columns(const md_step *st, int64_t at)
{
    const state *s = st->state;
    const args *a = st->args;

    s->kernel->run(
        &(md_reduce_f32_args){ .y = (float *)st->out[0] + at,
                               .x = (const float *)st->in[0] + at,
                               .outer = 1,
                               .m = a->n[FAR],
                               .n = a->n[NEAR],
                               .inner = md_min_i64(a->step, a->n[INNER] - at),
                               .m_stride = a->stride[FAR],
                               .n_stride = a->stride[NEAR],
                               .op = s->op });
}

/* Rows [at, end) of all outer and middle ones, those of one outer at once. */
static void run_rows(const md_step *st, int64_t at, int64_t end)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t middle = a->n[MIDDLE];

    while (at < end) {
        int64_t m = at % middle, rows = md_min_i64(end - at, middle - m);

        s->kernel->run(&(md_reduce_f32_args){
            .y = (float *)st->out[0] + at * a->n[INNER],
            .x = (const float *)st->in[0] + at / middle * a->stride[OUTER] +
                 m * a->stride[MIDDLE],
            .outer = rows,
            .m = a->n[FAR],
            .n = a->n[NEAR],
            .inner = a->n[INNER],
            .outer_stride = a->stride[MIDDLE],
            .m_stride = a->stride[FAR],
            .n_stride = a->stride[NEAR],
            .op = s->op });
        at += rows;
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    int64_t at = chunk * a->step;

    (void)scratch;
    if (!a->by_column)
        run_rows(st, at, md_min_i64(at + a->step, a->n[OUTER] * a->n[MIDDLE]));
    else if (at < a->n[INNER])
        run_columns(st, at);
}

const md_fast md_fast_reduce = { lower, plan, run, NULL, NULL };
