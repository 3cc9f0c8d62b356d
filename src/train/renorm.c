#include "train/renorm.h"

#include <math.h>
#include <string.h>

enum {
    OPSET = 15 /* the first with training_mode as it is today */
};

/* One BatchNormalization: sums over the batches. */
typedef struct norm {
    const char *mean_name, *var_name; /* of the model's constants */
    int64_t channels;
    double *mean, *square, *var;
} norm;

typedef struct renorm {
    norm *norms;
    uint32_t n;
    double samples;
    md_arena ar;
} renorm;

static bool is_norm(const md_graph *g, const md_node *n)
{
    const md_tensor *mean, *var;

    if (n->domain[0] || strcmp(n->op, "BatchNormalization") != 0 ||
        n->n_in != 5 || md_node_attr_i(n, "training_mode", 0) != 0 ||
        md_node_attr_i(n, "spatial", 1) == 0)
        return false;
    mean = g->values[n->in[3]].cdata;
    var = g->values[n->in[4]].cdata;
    return mean && var && mean->dtype == MD_DTYPE_F32 &&
           var->dtype == MD_DTYPE_F32;
}

static md_status add_norm(renorm *r, const md_graph *g, const md_node *n,
                          md_error *err)
{
    norm *b = &r->norms[r->n++];
    const int64_t c = md_tensor_n(g->values[n->in[3]].cdata);

    *b = (norm){ .mean_name = md_arena_strdup(&r->ar, g->values[n->in[3]].name),
                 .var_name = md_arena_strdup(&r->ar, g->values[n->in[4]].name),
                 .channels = c };
    b->mean = md_arena_calloc(&r->ar, (size_t)c + 1, sizeof(double));
    b->square = md_arena_calloc(&r->ar, (size_t)c + 1, sizeof(double));
    b->var = md_arena_calloc(&r->ar, (size_t)c + 1, sizeof(double));
    if (!b->mean_name || !b->var_name || !b->mean || !b->square || !b->var)
        return md_fail_nomem(err, (size_t)c * sizeof(double));
    return MD_OK;
}

/* The statistics of a batch become outputs 2 i and 2 i + 1, and there are no
 * others. */
static md_status make_taps(renorm *r, md_model *m, md_error *err)
{
    md_graph *g = m->graph;

    MD_TRY(md_model_inline(m, err));
    r->norms = md_arena_calloc(&r->ar, g->n_nodes + 1u, sizeof(*r->norms));
    if (!r->norms)
        return md_fail_nomem(err, g->n_nodes * sizeof(*r->norms));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        g->values[g->outputs[i]].is_output = false;
    g->n_outputs = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        if (!is_norm(g, n))
            continue;
        MD_TRY(add_norm(r, g, n, err));
        n->opset = OPSET;
        MD_TRY(md_node_set_attr_i(g, n, "training_mode", 1, err));
        MD_TRY(md_node_set_attr_f(g, n, "momentum", 0.0f, err));
        for (uint32_t k = 1; k <= 2; k++) {
            md_value_id id;

            MD_TRY(md_graph_add_unique(&id, g, k == 1 ? "mean" : "var", err));
            MD_TRY(md_node_set_output(g, n, k, id, err));
            MD_TRY(md_graph_add_output(g, id, err));
        }
    }
    return MD_OK;
}

static md_status visit(void *ctx, const md_run *run, int64_t from, int64_t n,
                       md_error *err)
{
    renorm *r = ctx;

    (void)from;
    (void)err;
    for (uint32_t i = 0; i < r->n; i++) {
        const norm *b = &r->norms[i];
        const float *mean = md_run_output(run, 2 * i)->data;
        const float *var = md_run_output(run, 2 * i + 1)->data;

        for (int64_t c = 0; c < b->channels; c++) {
            b->mean[c] += (double)n * mean[c];
            b->square[c] += (double)n * mean[c] * mean[c];
            b->var[c] += (double)n * var[c];
        }
    }
    r->samples += (double)n;
    return MD_OK;
}

static md_status put(md_model *m, const char *name, const double *v, int64_t n,
                     md_error *err)
{
    const md_value_id id = md_graph_find(m->graph, name);
    md_tensor t;
    md_status s;

    if (id == MD_VALUE_NONE)
        return md_fail(err, MD_INTERNAL, "no value '%s'", name);
    for (int64_t c = 0; c < n; c++) {
        if (!isfinite(v[c]))
            return md_fail(err, MD_INVALID, "statistic '%s' becomes %g", name,
                           v[c]);
    }
    MD_TRY(md_tensor_alloc_unset(&t, MD_DTYPE_F32, &(md_shape){ 1, { n } },
                                 m->alloc, err));
    for (int64_t c = 0; c < n; c++)
        ((float *)t.data)[c] = (float)v[c];
    s = md_graph_set_const(m->graph, id, t, err);
    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

/* The variance of all is the mean of the batches' and the variance of their
 * means. */
static md_status finish(const renorm *r, md_model *m, md_error *err)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const norm *b = &r->norms[i];

        for (int64_t c = 0; c < b->channels; c++) {
            const double mean = b->mean[c] / r->samples;

            b->mean[c] = mean;
            b->var[c] = b->var[c] / r->samples +
                        fmax(b->square[c] / r->samples - mean * mean, 0.0);
        }
    }
    for (uint32_t i = 0; i < r->n; i++) {
        const norm *b = &r->norms[i];

        MD_TRY(put(m, b->mean_name, b->mean, b->channels, err));
        MD_TRY(put(m, b->var_name, b->var, b->channels, err));
    }
    return MD_OK;
}

static md_status run(renorm *r, md_model *copy, const md_sweep *sweep,
                     md_error *err)
{
    /* Strict: the same bits with any number of threads. */
    const md_session_opts o = { .pool = sweep->pool,
                                .precision = MD_PRECISION_STRICT };
    md_session *session;
    md_status s = md_session_new(&session, copy, &o, err);

    if (s != MD_OK) {
        md_model_free(copy);
        return s;
    }
    s = md_run_over(session, sweep, visit, r, err);
    md_session_free(session);
    return s;
}

md_status md_renorm(md_model *model, const md_sweep *sweep, uint32_t *n,
                    md_error *err)
{
    renorm r = { .n = 0 };
    md_model *copy;
    md_status s;

    md_arena_init(&r.ar, model->alloc, 0);
    s = md_model_copy(&copy, model, err);
    if (s == MD_OK) {
        s = make_taps(&r, copy, err);
        if (s == MD_OK && r.n > 0)
            s = run(&r, copy, sweep, err);
        else
            md_model_free(copy);
    }
    if (s == MD_OK && r.n > 0)
        s = finish(&r, model, err);
    *n = r.n;
    md_arena_release(&r.ar);
    return s;
}
