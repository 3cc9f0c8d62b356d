/* ArgMax and ArgMin of float32, cut by rows or, behind the axis, by blocks of
 * columns. */
#include <string.h>

#include "base/size.h"
#include "kernels/arg_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_arg_f32_kernel *kernel;
    int axis;
    bool min, last;
} state;

typedef struct args {
    int64_t outer, n, inner;
    int64_t blocks; /* of columns, of one outer index */
    int64_t step;   /* rows or blocks of a chunk */
} args;

enum {
    COLUMNS = 1024 /* of a block */
};

static md_status lower(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    MD_TRY(md_axis_normalize(&s->axis, md_node_attr_i(n, "axis", 0),
                             lo->in[0]->rank, err));
    s->min = strcmp(n->op, "ArgMin") == 0;
    s->last = md_node_attr_i(n, "select_last_index", 0) != 0;
    s->kernel = md_arg_f32_select(lo->cpu);
    lo->kernel = s->kernel->name;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    int64_t units;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->outer = md_shape_span(x, 0, s->axis);
    a->n = x->dim[s->axis];
    a->inner = md_shape_span(x, s->axis + 1, x->rank);
    a->blocks = md_div_up(a->inner, COLUMNS);
    units = a->outer * a->blocks;
    if (units == 0) {
        st->n_chunks = 0;
        return MD_OK;
    }
    st->n_chunks =
        md_step__chunks(a->outer * a->n * a->inner / 6, units, width);
    a->step = md_div_up(units, st->n_chunks);
    return MD_OK;
}

/* Rows [at, end) or, of columns, block `at`. */
static void run_at(const md_step *st, int64_t at, int64_t end)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t outer = at / a->blocks, column = at % a->blocks * COLUMNS;
    bool rows = a->inner == 1;

    s->kernel->run(&(md_arg_f32_args){
        .y = (int64_t *)st->out[0] + outer * a->inner + column,
        .x = (const float *)st->in[0] + outer * a->n * a->inner + column,
        .outer = rows ? end - at : 1,
        .n = a->n,
        .inner = md_min_i64(COLUMNS, a->inner - column),
        .outer_stride = a->n * a->inner,
        .stride = a->inner,
        .min = s->min,
        .last = s->last });
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    int64_t at = chunk * a->step;
    int64_t end = md_min_i64(at + a->step, a->outer * a->blocks);

    (void)scratch;
    if (a->inner == 1 && at < end)
        run_at(st, at, end);
    for (; a->inner > 1 && at < end; at++)
        run_at(st, at, at + 1);
}

const md_fast md_fast_arg = { lower, plan, run, NULL, NULL };
