/* SkipLayerNormalization and SkipSimplifiedLayerNormalization (com.microsoft):
 * a row is summed and, while it is in the cache, normalized. */
#include <string.h>

#include "base/size.h"
#include "kernels/binary_f32.h"
#include "kernels/norm_f32.h"
#include "ops/lower/common.h"

enum { /* outputs */
    OUT_Y,
    OUT_MEAN,
    OUT_INV,
    OUT_SUM
};

typedef struct state {
    const md_binary_f32_kernel *binary;
    const md_norm_f32_kernel *norm;
    uint32_t beta, bias; /* inputs; beyond n_in: none */
    float eps;
    bool rms;
} state;

typedef struct args {
    int64_t rows, n;
    int64_t skip_rows; /* of the skip, which begins again behind them */
    int64_t step;      /* rows of a chunk */
} args;

static bool is_wanted(const md_node *n, uint32_t i)
{
    return i < n->n_out && n->out[i] != MD_VALUE_NONE;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    state *s;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (lo->in[i] && !md_lower__is(lo, i, MD_DTYPE_F32, -1))
            return md_fail(err, MD_UNSUPPORTED, "needs float32");
    }
    if (is_wanted(n, OUT_MEAN) || is_wanted(n, OUT_INV))
        return md_fail(err, MD_UNSUPPORTED, "mean or variance is read");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->rms = strcmp(n->op, "SkipLayerNormalization") != 0;
    s->beta = s->rms ? UINT32_MAX : 3;
    s->bias = s->rms ? 3 : 4;
    s->eps = md_node_attr_f(n, "epsilon", 1e-12f);
    s->binary = md_binary_f32_select(lo->cpu);
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const md_shape *x = &st->in_shape[0];
    int64_t total = md_shape_n(x);
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->n = x->dim[x->rank - 1];
    if (total == 0) {
        st->n_chunks = 0;
        return MD_OK;
    }
    a->rows = total / a->n;
    a->skip_rows = md_shape_n(&st->in_shape[1]) / a->n;
    st->n_chunks = md_step__chunks(total, a->rows, width);
    a->step = md_div_up(a->rows, st->n_chunks);
    return MD_OK;
}

static const float *input(const md_step *st, uint32_t i)
{
    return i < st->node->n_in ? st->in[i] : NULL;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const md_binary_op add = { MD_BINARY_ADD, MD_ACT_NONE, 0, 0 };
    const state *s = st->state;
    const args *a = st->args;
    const float *bias = input(st, s->bias);
    int64_t end = md_min_i64((chunk + 1) * a->step, a->rows), n = a->n;

    (void)scratch;
    for (int64_t i = chunk * a->step; i < end; i++) {
        float *y = (float *)st->out[OUT_Y] + i * n;
        float *sum = is_wanted(st->node, OUT_SUM)
                         ? (float *)st->out[OUT_SUM] + i * n
                         : y;

        s->binary->run(sum, (const float *)st->in[0] + i * n,
                       (const float *)st->in[1] + i % a->skip_rows * n,
                       (size_t)n, 1, 1, &add);
        if (bias)
            s->binary->run(sum, sum, bias, (size_t)n, 1, 1, &add);
        s->norm->run(&(md_norm_f32_args){ .y = y,
                                          .x = sum,
                                          .rows = 1,
                                          .n = n,
                                          .span = 1,
                                          .scale = st->in[2],
                                          .bias = input(st, s->beta),
                                          .eps = s->eps,
                                          .kind = s->rms ? MD_NORM_RMS
                                                         : MD_NORM_LAYER });
    }
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_skip_norm = { lower, plan, run, NULL, inplace };
