/* Biases that bring the mean of each product back to the float model's, and
 * how much the model depends on each product (quantize.h). */
#include <math.h>
#include <string.h>

#include "optimize/quantize.h"
#include "train/runner.h"

enum {
    BATCH = 16,       /* samples in one execution */
    SAMPLES_MAX = 256 /* that are looked at, from the first on */
};

/* Sums of what some values hold, by channel. */
typedef struct means {
    double **sum; /* by value, by channel */
    double *count;
    const int64_t *channels;
    const bool *is_last; /* the channels are the last axis, not the second */
    uint32_t n;
} means;

static md_status add_batch(void *ctx, const md_run *run, int64_t from,
                           int64_t n, md_error *err)
{
    const means *m = ctx;

    (void)from;
    (void)n;
    (void)err;
    for (uint32_t i = 0; i < m->n; i++) {
        const md_tensor *t = md_run_output(run, i);
        const int64_t inner =
            m->is_last[i] ? 1 : md_shape_span(&t->shape, 2, t->shape.rank);
        const float *y = t->data;

        for (int64_t k = 0; k < md_tensor_n(t); k++)
            m->sum[i][k / inner % m->channels[i]] += (double)y[k];
        m->count[i] += (double)md_tensor_n(t) / (double)m->channels[i];
    }
    return MD_OK;
}

static md_status run_taps(const means *m, const md_model *model,
                          const char *const *names, const md_dataset *data,
                          md_pool *pool, md_error *err)
{
    md_sweep sweep = { .data = data, .batch = BATCH, .pool = pool };
    md_subset some;
    md_session *s;
    md_status st;

    MD_TRY(md_subset_all(&some, data, err));
    some.n = some.n < SAMPLES_MAX ? some.n : SAMPLES_MAX;
    sweep.which = &some;
    st = md_taps_open(&s, model, names, m->n, pool, err);
    if (st == MD_OK) {
        st = md_run_over(s, &sweep, add_batch, (void *)m, err);
        md_session_free(s);
    }
    md_subset_release(&some);
    return st;
}

/* A product with a bias of codes. */
typedef struct target {
    const char *name; /* of what it gives */
    md_tensor *codes; /* int32 [channels] */
    const float *scale;
    int64_t channels;
    bool is_last;
} target;

static bool find_target(target *t, const md_graph *g, const md_node *n)
{
    const bool is_conv = strcmp(n->op, "Conv") == 0;
    const md_node *dq;

    if (n->domain[0] || (!is_conv && strcmp(n->op, "Gemm") != 0) ||
        n->n_in < 3 || n->in[2] == MD_VALUE_NONE)
        return false;
    dq = g->values[n->in[2]].def;
    if (!dq || strcmp(dq->op, "DequantizeLinear") != 0 ||
        !g->values[dq->in[0]].cdata || !g->values[dq->in[1]].cdata ||
        g->values[dq->in[0]].cdata->dtype != MD_DTYPE_I32)
        return false;
    *t = (target){ .name = g->values[n->out[0]].name,
                   .codes = (md_tensor *)g->values[dq->in[0]].cdata,
                   .scale = g->values[dq->in[1]].cdata->data,
                   .channels = md_tensor_n(g->values[dq->in[0]].cdata),
                   .is_last = !is_conv };
    return true;
}

/* Means of the float model, of all targets in one go. */
static md_status float_means(means *m, const target *t, uint32_t n,
                             const md_model *original, const md_dataset *data,
                             md_pool *pool, md_arena *ar, md_error *err)
{
    const char **names = md_arena_calloc(ar, n + 1u, sizeof(*names));
    int64_t *channels = md_arena_calloc(ar, n + 1u, sizeof(*channels));
    bool *is_last = md_arena_calloc(ar, n + 1u, sizeof(*is_last));

    *m = (means){ .sum = md_arena_calloc(ar, n + 1u, sizeof(double *)),
                  .count = md_arena_calloc(ar, n + 1u, sizeof(double)),
                  .channels = channels,
                  .is_last = is_last,
                  .n = n };
    if (!names || !channels || !is_last || !m->sum || !m->count)
        return md_fail_nomem(err, n * sizeof(*names));
    for (uint32_t i = 0; i < n; i++) {
        names[i] = t[i].name;
        channels[i] = t[i].channels;
        is_last[i] = t[i].is_last;
        m->sum[i] = md_arena_calloc(ar, (size_t)t[i].channels, sizeof(double));
        if (!m->sum[i])
            return md_fail_nomem(err, (size_t)t[i].channels * sizeof(double));
    }
    return n > 0 ? run_taps(m, original, names, data, pool, err) : MD_OK;
}

/* Its mean with the layers before it corrected, and the bias after that. */
static md_status correct(const target *t, const double *want, double count,
                         const md_model *m, const md_dataset *data,
                         md_pool *pool, md_arena *ar, md_error *err)
{
    double *sum = md_arena_calloc(ar, (size_t)t->channels, sizeof(*sum));
    double own_count = 0.0;
    const means own = { &sum, &own_count, &t->channels, &t->is_last, 1 };
    int32_t *codes = t->codes->data;

    if (!sum)
        return md_fail_nomem(err, (size_t)t->channels * sizeof(*sum));
    MD_TRY(run_taps(&own, m, &t->name, data, pool, err));
    for (int64_t c = 0; c < t->channels; c++) {
        const double by = want[c] / count - sum[c] / own_count;
        const double code =
            nearbyint((double)codes[c] + by / (double)t->scale[c]);

        codes[c] = (int32_t)fmin(fmax(code, INT32_MIN), INT32_MAX);
    }
    return MD_OK;
}

static md_status correct_all(md_model *m, const md_model *original,
                             const md_dataset *data, md_pool *pool, uint32_t *n,
                             md_arena *ar, md_error *err)
{
    const md_graph *g = m->graph;
    target *t = md_arena_calloc(ar, g->n_nodes + 1u, sizeof(*t));
    means want;

    *n = 0;
    if (!t)
        return md_fail_nomem(err, g->n_nodes * sizeof(*t));
    for (uint32_t i = 0; i < g->n_nodes; i++)
        *n += find_target(&t[*n], g, g->nodes[i]);
    MD_TRY(float_means(&want, t, *n, original, data, pool, ar, err));
    for (uint32_t i = 0; i < *n; i++)
        MD_TRY(
            correct(&t[i], want.sum[i], want.count[i], m, data, pool, ar, err));
    return MD_OK;
}

md_status md_quantize__correct(md_model *m, const md_model *original,
                               const md_dataset *data, md_pool *pool,
                               uint32_t *n, md_error *err)
{
    md_arena ar;
    md_status s;

    md_arena_init(&ar, m->alloc, 0);
    s = correct_all(m, original, data, pool, n, &ar, err);
    md_arena_release(&ar);
    return s;
}
