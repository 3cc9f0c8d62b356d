#include "optimize/importance.h"

#include <math.h>
#include <string.h>

#include "train/runner.h"
#include "train/step.h"

/* ---- weights ---- */

static double slice_norm(const md_tensor *t, int axis, int64_t i)
{
    const int64_t inner = md_shape_span(&t->shape, axis + 1, t->shape.rank);
    const int64_t outer = md_shape_span(&t->shape, 0, axis);
    const float *w = t->data;
    double sum = 0.0;

    for (int64_t o = 0; o < outer; o++) {
        const float *at = w + (o * t->shape.dim[axis] + i) * inner;

        for (int64_t k = 0; k < inner; k++)
            sum += (double)at[k] * (double)at[k];
    }
    return sqrt(sum);
}

/* The BatchNormalization that reads what n makes, or NULL. */
static const md_node *norm_behind(const md_graph *g, const md_node *n)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *b = g->nodes[i];

        if (md_axes_is(b, "BatchNormalization") && b->n_in == 5 &&
            b->in[0] == n->out[0] && g->values[b->in[1]].cdata &&
            g->values[b->in[4]].cdata)
            return b;
    }
    return NULL;
}

static double norm_factor(const md_graph *g, const md_node *b, int64_t i)
{
    const md_tensor *gamma, *var;

    if (!b)
        return 1.0;
    gamma = g->values[b->in[1]].cdata;
    var = g->values[b->in[4]].cdata;
    if (i >= md_tensor_n(gamma) || i >= md_tensor_n(var))
        return 1.0;
    return fabs(md_tensor_get_f64(gamma, i)) /
           sqrt(md_tensor_get_f64(var, i) +
                (double)md_node_attr_f(b, "epsilon", 1e-5f));
}

/* The unit that place i of what n makes belongs to: the output tells, of which
 * convolutions with groups have more than weights. */
static uint32_t unit_of_output(const md_cut *c, const md_node *n,
                               const md_axes_product *p, int64_t i)
{
    const uint32_t first = md_axes_first(&c->axes, n->out[0], p->out);

    return first == MD_AXES_NONE ? MD_UNIT_NONE
                                 : md_cut_unit_at(c, first + (uint32_t)i);
}

static void score_product(md_cut *c, const md_node *n, const md_axes_product *p,
                          double *count)
{
    const md_graph *g = c->model->graph;
    const md_tensor *w = g->values[n->in[1]].cdata;
    const md_node *b = norm_behind(g, n);
    const int64_t width = w->shape.dim[p->w_out];
    double mean = 0.0;

    for (int64_t i = 0; i < width; i++)
        mean +=
            slice_norm(w, p->w_out, i) * norm_factor(g, b, i) / (double)width;
    for (int64_t i = 0; i < width && mean > 0.0; i++) {
        const uint32_t u = unit_of_output(c, n, p, i);

        if (u == MD_UNIT_NONE)
            continue;
        c->unit[u].score +=
            slice_norm(w, p->w_out, i) * norm_factor(g, b, i) / mean;
        count[u] += 1.0;
    }
}

md_status md_importance_weights(md_cut *c, md_error *err)
{
    double *count = md_arena_calloc(&c->arena, c->n_units + 1u, sizeof(*count));

    if (!count)
        return md_fail_nomem(err, c->n_units * sizeof(*count));
    for (uint32_t u = 0; u < c->n_units; u++)
        c->unit[u].score = 0.0;
    for (uint32_t i = 0; i < c->model->graph->n_nodes; i++) {
        md_axes_product p;

        if (md_axes_is_product(&p, &c->axes, c->model->graph->nodes[i]))
            score_product(c, c->model->graph->nodes[i], &p, count);
    }
    for (uint32_t u = 0; u < c->n_units; u++)
        c->unit[u].score /= fmax(count[u], 1.0);
    return MD_OK;
}

/* ---- gradients ---- */

enum {
    BATCH = 32
};

typedef struct taylor {
    md_cut *c;
    const md_dataset *data;
    const md_subset *which;
    md_pool *pool;
    md_step_model step;
    md_session *session;
    md_run *run;
    int64_t batch;
    double *sum; /* by unit, of one batch */
    md_arena ar;
} taylor;

static md_status open_step(taylor *t, md_error *err)
{
    const md_session_opts so = { .pool = t->pool,
                                 .precision = MD_PRECISION_STRICT };
    md_step_opts o = { .loss = MD_LOSS_CROSS_ENTROPY };
    md_step_output y;

    MD_TRY(md_step_find_output(&y, t->c->model, err));
    if (!t->data->labels.data || y.width < 2)
        return md_fail(err, MD_INVALID, "importance by gradients: %s",
                       y.width < 2 ? "scores of at least two classes expected"
                                   : "the data has no labels 'y'");
    MD_TRY(md_dataset_check_classes(t->data, y.width, err));
    MD_TRY(md_step_model_make(&t->step, t->c->model, &o, err));
    t->batch = t->step.fixed_batch   ? t->step.fixed_batch
               : t->which->n < BATCH ? t->which->n
                                     : BATCH;
    if (t->batch > t->which->n)
        return md_fail(err, MD_INVALID,
                       "%lld samples given, at least the model's batch of "
                       "%lld expected",
                       (long long)t->which->n, (long long)t->batch);
    MD_TRY(md_session_new(&t->session, t->step.model, &so, err));
    t->step.model = NULL;
    return MD_OK;
}

/* The weights are those of c->model, whose names they have. */
static void bind_weights(taylor *t)
{
    const md_graph *g = t->c->model->graph;

    for (uint32_t i = 0; i < t->step.params.n; i++) {
        const md_value_id id = md_graph_find(g, t->step.params.p[i].name);

        if (id != MD_VALUE_NONE && g->values[id].cdata)
            memcpy(md_run_input(t->run, t->step.param_in + i)->data,
                   g->values[id].cdata->data,
                   md_tensor_size(g->values[id].cdata));
    }
}

static md_status open_run(taylor *t, md_error *err)
{
    const md_step_model *s = &t->step;
    const uint32_t n = md_session_n_inputs(t->session);
    md_shape *shapes = md_arena_calloc(&t->ar, n + 1u, sizeof(*shapes));

    t->sum = md_arena_calloc(&t->ar, t->c->n_units + 1u, sizeof(*t->sum));
    if (!shapes || !t->sum)
        return md_fail_nomem(err, n * sizeof(*shapes));
    for (uint32_t i = 0; i < s->n_data; i++)
        shapes[i] = md_dataset_shape(t->data, i, t->batch);
    shapes[s->target] = (md_shape){ 2, { t->batch, s->width } };
    if (s->seed != UINT32_MAX)
        shapes[s->seed] = (md_shape){ 1, { 1 } };
    for (uint32_t i = 0; i < s->params.n; i++)
        shapes[s->param_in + i] = s->params.p[i].shape;
    MD_TRY(md_run_acquire(&t->run, t->session, shapes, err));
    bind_weights(t);
    return MD_OK;
}

static md_status run_batch(taylor *t, int64_t from, md_error *err)
{
    const md_step_model *s = &t->step;
    float *target = md_run_input(t->run, s->target)->data;

    for (uint32_t i = 0; i < s->n_data; i++)
        MD_TRY(md_dataset_read(t->data, i, t->which->at + from, 0, t->batch,
                               md_run_input(t->run, i), t->pool, err));
    memset(target, 0, (size_t)(t->batch * s->width) * sizeof(*target));
    for (int64_t i = 0; i < t->batch; i++)
        target[i * s->width +
               md_dataset_class(t->data, t->which->at[from + i])] = 1.0f;
    if (s->seed != UINT32_MAX)
        *(int64_t *)md_run_input(t->run, s->seed)->data = from;
    return md_run_execute(t->run, 0, err);
}

/* Add w dL/dw of the weights of product n to the units that they make. */
static void add_product(taylor *t, const md_node *n, const md_axes_product *p,
                        const float *g)
{
    const md_tensor *w = t->c->model->graph->values[n->in[1]].cdata;
    const int64_t inner = md_shape_span(&w->shape, p->w_out + 1, w->shape.rank);
    const float *v = w->data;

    for (int64_t i = 0; i < md_tensor_n(w); i++) {
        const uint32_t u =
            unit_of_output(t->c, n, p, i / inner % w->shape.dim[p->w_out]);

        if (u != MD_UNIT_NONE)
            t->sum[u] += (double)v[i] * (double)g[i];
    }
}

static void add_batch(taylor *t)
{
    const md_graph *g = t->c->model->graph;

    memset(t->sum, 0, t->c->n_units * sizeof(*t->sum));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_axes_product p;

        if (!md_axes_is_product(&p, &t->c->axes, g->nodes[i]))
            continue;
        for (uint32_t k = 0; k < t->step.params.n; k++) {
            if (strcmp(t->step.params.p[k].name,
                       g->values[g->nodes[i]->in[1]].name) == 0)
                add_product(t, g->nodes[i], &p,
                            md_run_output(t->run, t->step.param_out[k])->data);
        }
    }
    for (uint32_t u = 0; u < t->c->n_units; u++)
        t->c->unit[u].score += t->sum[u] * t->sum[u];
}

static md_status measure(taylor *t, md_error *err)
{
    MD_TRY(open_step(t, err));
    MD_TRY(open_run(t, err));
    for (uint32_t u = 0; u < t->c->n_units; u++)
        t->c->unit[u].score = 0.0;
    for (int64_t at = 0; at + t->batch <= t->which->n; at += t->batch) {
        MD_TRY(run_batch(t, at, err));
        add_batch(t);
    }
    return MD_OK;
}

md_status md_importance_taylor(md_cut *c, const md_dataset *data,
                               const md_subset *which, md_pool *pool,
                               md_error *err)
{
    taylor t = { .c = c, .data = data, .which = which, .pool = pool };
    md_status s;

    md_arena_init(&t.ar, c->model->alloc, 0);
    s = measure(&t, err);
    if (t.run)
        md_run_release(t.run);
    md_session_free(t.session);
    if (t.step.arena.alloc)
        md_step_model_release(&t.step);
    md_arena_release(&t.ar);
    return s;
}
