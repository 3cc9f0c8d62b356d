#include "train/distill.h"

#include <math.h>

#include "train/evaluate.h"
#include "train/runner.h"

typedef struct distiller {
    const md_dataset *data;
    const md_distill_opts *o;
    md_subset rest, held;
    md_distill_report *report;
} distiller;

/* Share of the held samples on which the model is right. */
static md_status judge(double *out, const md_model *m, const distiller *d,
                       md_error *err)
{
    md_eval_opts o = MD_EVAL_OPTS_INIT;
    const md_session_opts so = { .pool = d->o->train.pool };
    md_eval_side side = { .data = d->data };
    md_evaluation e;
    md_model *copy;
    md_status s;

    o.task = MD_TASK_CLASSES;
    o.which = &d->held;
    o.pool = d->o->train.pool;
    o.intervals = false;
    o.top_k = 0;
    MD_TRY(md_model_copy(&copy, m, err));
    s = md_session_new(&side.session, copy, &so, err);
    if (s != MD_OK) {
        md_model_free(copy);
        return s;
    }
    s = md_evaluate(&e, &side, NULL, &o, err);
    md_session_free(side.session);
    *out = s == MD_OK ? e.figure[0].value : NAN;
    return s;
}

static md_status train(md_model *m, md_train_report *r, const distiller *d,
                       bool taught, md_error *err)
{
    md_train_opts o = d->o->train;

    o.which = &d->rest;
    if (!taught)
        o.teacher = NULL;
    if (d->o->begin)
        d->o->begin(d->o->ctx, taught);
    return md_train(m, d->data, &o, r, err);
}

/* The weights of `from`, which has the same ones, become m's. */
static md_status take_weights(md_model *m, const md_model *from, md_error *err)
{
    MD_TRY(md_graph_lift_constants(m->graph, err));
    for (uint32_t i = 0; i < from->graph->n_values; i++) {
        const md_value *v = &from->graph->values[i];
        const md_value_id to = md_graph_find(m->graph, v->name);
        md_tensor t;
        md_status s;

        if (!v->cdata || v->cdata->dtype != MD_DTYPE_F32 ||
            to == MD_VALUE_NONE || !m->graph->values[to].cdata)
            continue;
        MD_TRY(md_tensor_copy(&t, v->cdata, m->alloc, err));
        s = md_graph_set_const(m->graph, to, t, err);
        if (s != MD_OK) {
            md_tensor_release(&t);
            return s;
        }
    }
    for (uint32_t i = 0; i < from->n_metas; i++)
        MD_TRY(md_model_set_meta(m, from->metas[i].key, from->metas[i].value,
                                 err));
    return MD_OK;
}

static md_status both(distiller *d, md_model *alone, md_model *taught,
                      md_error *err)
{
    md_distill_report *r = d->report;
    md_train_report other;

    r->n_held = d->held.n;
    MD_TRY(train(alone, &other, d, false, err));
    MD_TRY(judge(&r->accuracy_alone, alone, d, err));
    MD_TRY(train(taught, &r->training, d, true, err));
    MD_TRY(judge(&r->accuracy_taught, taught, d, err));
    r->taught = r->accuracy_taught >= r->accuracy_alone;
    if (!r->taught)
        r->training = other;
    return MD_OK;
}

static md_status compare(distiller *d, md_model *student, md_error *err)
{
    md_model *alone = NULL, *taught = NULL;
    md_status s = md_model_copy(&alone, student, err);

    if (s == MD_OK)
        s = md_model_copy(&taught, student, err);
    if (s == MD_OK)
        s = both(d, alone, taught, err);
    if (s == MD_OK)
        s = take_weights(student, d->report->taught ? taught : alone, err);
    md_model_free(alone);
    md_model_free(taught);
    return s;
}

static md_status divide(distiller *d, md_error *err)
{
    if (!d->data->labels.data)
        return md_subset_all(&d->rest, d->data, err);
    MD_TRY(md_subset_split(&d->rest, &d->held, d->data, d->o->held,
                           d->o->train.seed, err));
    if (d->held.n > 0 && d->rest.n > 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "of %lld samples %lld are held back to decide by, some but "
                   "not all expected",
                   (long long)d->data->n, (long long)d->held.n);
}

md_status md_distill(md_model *student, const md_dataset *data,
                     const md_distill_opts *opts, md_distill_report *report,
                     md_error *err)
{
    distiller d = { .data = data, .o = opts, .report = report };
    md_status s;

    *report = (md_distill_report){ .taught = true,
                                   .accuracy_taught = NAN,
                                   .accuracy_alone = NAN };
    s = divide(&d, err);
    if (s == MD_OK)
        s = d.held.n > 0 ? compare(&d, student, err)
                         : train(student, &report->training, &d, true, err);
    md_subset_release(&d.rest);
    md_subset_release(&d.held);
    return s;
}
