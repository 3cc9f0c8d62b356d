/* How much a model depends on each product that is quantized (quantize.h). */
#include <math.h>
#include <string.h>

#include "optimize/quantize.h"
#include "train/runner.h"
#include "train/step.h"

enum {
    BATCH = 16
};

/* What the float model gives for all samples, then sums of squares. */
typedef struct probe {
    float *want;
    int64_t width;
    uint32_t output;
    double signal, noise;
} probe;

static md_status keep_want(void *ctx, const md_run *run, int64_t from,
                           int64_t n, md_error *err)
{
    probe *p = ctx;
    const md_tensor *y = md_run_output(run, p->output);

    if (md_tensor_n(y) != n * p->width)
        return md_fail(err, MD_INVALID,
                       "an output of %lld numbers for %lld samples, %lld "
                       "expected",
                       (long long)md_tensor_n(y), (long long)n,
                       (long long)(n * p->width));
    memcpy(p->want + from * p->width, y->data, md_tensor_size(y));
    return MD_OK;
}

static md_status add_noise(void *ctx, const md_run *run, int64_t from,
                           int64_t n, md_error *err)
{
    probe *p = ctx;
    const float *got = md_run_output(run, p->output)->data;
    const float *want = p->want + from * p->width;

    (void)err;
    for (int64_t i = 0; i < n * p->width; i++) {
        const double d = (double)want[i] - (double)got[i];

        p->signal += (double)want[i] * (double)want[i];
        p->noise += d * d;
    }
    return MD_OK;
}

/* Run m, which this frees, over the data. */
static md_status run_model(probe *p, md_model *m, md_visit_fn *visit,
                           const md_dataset *data, md_pool *pool, md_error *err)
{
    const md_sweep sweep = { .data = data, .batch = BATCH, .pool = pool };
    const md_session_opts o = { .pool = pool };
    md_session *s;
    md_status st = md_session_new(&s, m, &o, err);

    if (st != MD_OK) {
        md_model_free(m);
        return st;
    }
    st = md_run_over(s, &sweep, visit, p, err);
    md_session_free(s);
    return st;
}

/* All names but number `but`, which is alone in integers. */
static md_status quantize_one(md_model **out, const md_model *model,
                              const md_sensitivity *names, uint32_t n,
                              uint32_t but, const md_dataset *data,
                              const md_quantize_opts *opts, md_error *err)
{
    const char **keep = md_calloc(model->alloc, n, sizeof(*keep));
    md_quantize_opts o = *opts;
    md_status s;

    if (!keep)
        return md_fail_nomem(err, n * sizeof(*keep));
    for (uint32_t i = 0; i < n; i++) {
        if (i != but)
            keep[o.n_keep++] = names[i].name;
    }
    o.keep = keep;
    s = md_model_copy(out, model, err);
    if (s == MD_OK) {
        s = md_quantize(*out, data, &o, NULL, err);
        if (s != MD_OK)
            md_model_free(*out);
    }
    md_free(model->alloc, keep);
    return s;
}

static md_status measure(md_sensitivity *s, uint32_t n, probe *p,
                         const md_model *model, const md_dataset *data,
                         const md_quantize_opts *opts, md_error *err)
{
    md_model *m;

    MD_TRY(md_model_copy(&m, model, err));
    MD_TRY(run_model(p, m, keep_want, data, opts->pool, err));
    for (uint32_t i = 0; i < n; i++) {
        MD_TRY(quantize_one(&m, model, s, n, i, data, opts, err));
        p->signal = p->noise = 0.0;
        MD_TRY(run_model(p, m, add_noise, data, opts->pool, err));
        s[i].snr = p->noise > 0.0 ? 10.0 * log10(p->signal / p->noise)
                                  : (double)INFINITY;
    }
    return MD_OK;
}

static md_status find_names(md_sensitivity **out, uint32_t *n,
                            const md_graph *g, md_arena *ar, md_error *err)
{
    md_sensitivity *s = md_arena_calloc(ar, g->n_nodes + 1u, sizeof(*s));

    *n = 0;
    if (!s)
        return md_fail_nomem(err, g->n_nodes * sizeof(*s));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *node = g->nodes[i];

        if (!md_quantize__is_product(g, node))
            continue;
        s[*n].name = md_arena_strdup(ar, g->values[node->out[0]].name);
        if (!s[(*n)++].name)
            return md_fail_nomem(err, 64);
    }
    *out = s;
    return MD_OK;
}

md_status md_quantize_sensitivity(md_sensitivity **out, uint32_t *n,
                                  const md_model *model, const md_dataset *data,
                                  const md_quantize_opts *opts, md_arena *ar,
                                  md_error *err)
{
    md_quantize_opts o = { .method = opts->method,
                           .pool = opts->pool,
                           .equalize = opts->equalize,
                           .smooth = opts->smooth };
    probe p = { .want = NULL };
    md_step_output y;
    md_model *ready;
    md_status s;

    MD_TRY(md_step_find_output(&y, model, err));
    p.output = y.index;
    p.width = y.width;
    MD_TRY(md_model_copy(&ready, model, err));
    s = md_quantize__prepare(ready->graph, err);
    if (s == MD_OK)
        s = find_names(out, n, ready->graph, ar, err);
    p.want = md_calloc(model->alloc, (size_t)data->n * (size_t)p.width + 1,
                       sizeof(*p.want));
    if (s == MD_OK && !p.want)
        s = md_fail_nomem(err, (size_t)data->n * (size_t)p.width * 4);
    if (s == MD_OK)
        s = measure(*out, *n, &p, ready, data, &o, err);
    md_free(model->alloc, p.want);
    md_model_free(ready);
    return s;
}
