#include "train/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

enum {
    BATCH = 64 /* samples at a time: enough for every kernel */
};

/* One model on its way through the samples. */
typedef struct side {
    md_session *session;
    md_sweep sweep;
    uint32_t output;
    int64_t width;        /* numbers of a row; 0: not known yet */
    bool only_labels;     /* the output is a class, not scores */
    bool is_probability;  /* rows are, as far as was seen */
    float *row;           /* of the batch at hand: [batch][width] */
    int64_t cap_row;      /* floats */
    md_outcomes outcomes; /* of classes and numbers */
    float *single;        /* of one score: of each sample */
} side;

typedef struct state {
    md_evaluation *e;
    const md_eval_opts *opts;
    side s[2]; /* the model, the original */
    int n_sides;
    double *p, *q; /* rows of probabilities */
    double divergence, distance;
    const md_alloc *alloc;
} state;

const char *md_task_name(md_task t)
{
    static const char *const names[] = { "auto", "classes", "numbers", "none" };

    return names[t];
}

/* ---- outputs ---- */

/* The first output of floats, else the first of integers: classes. */
static md_status choose_output(side *s, md_error *err)
{
    const uint32_t n = md_session_n_outputs(s->session);

    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < n; i++) {
            const md_type *t = &md_session_output(s->session, i)->type;

            if (t->kind != MD_KIND_TENSOR ||
                !(pass == 0 ? md_dtype_is_float(t->dtype)
                            : md_dtype_is_integer(t->dtype)))
                continue;
            s->output = i;
            s->only_labels = pass == 1;
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "the model has no output of numbers to judge");
}

/* Bring the output of n samples to rows of floats. */
static md_status load_rows(state *st, side *s, const md_run *r, int64_t n,
                           md_error *err)
{
    const md_tensor *y = md_run_output(r, s->output);
    const int64_t total = md_tensor_n(y), width = total / n;
    char shape[MD_SHAPE_TEXT];

    if (y->shape.rank < 1 || total % n != 0 || width == 0 ||
        y->shape.dim[0] != n || (s->width != 0 && width != s->width))
        return md_fail(err, MD_UNSUPPORTED,
                       "output '%s' is %s for %lld samples, a row of numbers "
                       "for each expected",
                       md_session_output(s->session, s->output)->name,
                       md_shape_format(shape, sizeof(shape), &y->shape),
                       (long long)n);
    s->width = width;
    if (total > s->cap_row) {
        md_free(st->alloc, s->row);
        s->row = md_calloc(st->alloc, (size_t)total, sizeof(*s->row));
        s->cap_row = s->row ? total : 0;
        if (!s->row)
            return md_fail_nomem(err, (size_t)total * sizeof(*s->row));
    }
    for (int64_t i = 0; i < total; i++)
        s->row[i] = (float)md_tensor_get_f64(y, i);
    return MD_OK;
}

/* ---- the task ---- */

static md_status find_task(state *st, md_error *err)
{
    const side *s = &st->s[0];
    const md_dataset *d = s->sweep.data;
    const int64_t targets = md_dataset_n_targets(d);
    md_evaluation *e = st->e;

    e->task = st->opts->task;
    if (e->task == MD_TASK_AUTO)
        e->task = !d->labels.data ? MD_TASK_NONE
                  : targets > 0   ? MD_TASK_NUMBERS
                                  : MD_TASK_CLASSES;
    e->n_classes = s->width;
    if (e->task == MD_TASK_NONE) {
        if (st->n_sides == 2)
            return MD_OK;
        return md_fail(err, MD_INVALID,
                       "the data has no labels 'y' and there is no other model "
                       "to compare with");
    }
    if (!d->labels.data)
        return md_fail(err, MD_INVALID, "the data has no labels 'y'");
    if (e->task == MD_TASK_NUMBERS) {
        if ((targets ? targets : 1) != s->width)
            return md_fail(err, MD_INVALID,
                           "labels 'y': %lld numbers for each sample given, "
                           "%lld expected",
                           (long long)(targets ? targets : 1),
                           (long long)s->width);
        return MD_OK;
    }
    if (s->only_labels) {
        int64_t top = 1;

        for (int64_t i = 0; targets == 0 && i < d->n; i++)
            top = md_max_i64(top, md_dataset_class(d, i));
        e->n_classes = md_min_i64(top, MD_DATA_CLASSES_MAX) + 1;
        return md_dataset_check_classes(d, e->n_classes, err);
    }
    if (s->width > 1)
        return md_dataset_check_classes(d, s->width, err);
    e->n_classes = 2;
    return md_dataset_check_classes(d, 2, err);
}

/* Once the width of rows is known. */
static md_status begin(state *st, md_error *err)
{
    md_evaluation *e = st->e;
    int64_t classes;

    MD_TRY(find_task(st, err));
    if (st->n_sides == 2 && st->s[1].width != st->s[0].width)
        return md_fail(err, MD_INVALID,
                       "the original's output has %lld numbers for a sample, "
                       "the model's %lld",
                       (long long)st->s[1].width, (long long)st->s[0].width);
    classes = e->task == MD_TASK_NUMBERS ? 0 : e->n_classes;
    if (e->task == MD_TASK_NONE)
        classes = md_max_i64(e->n_classes, 2);
    for (int k = 0; k < st->n_sides; k++) {
        side *s = &st->s[k];

        MD_TRY(md_outcomes_init(&s->outcomes, e->n, classes, st->alloc, err));
        if (s->width > 1 || e->task == MD_TASK_NUMBERS)
            continue;
        s->single = md_calloc(st->alloc, (size_t)e->n, sizeof(*s->single));
        if (!s->single)
            return md_fail_nomem(err, (size_t)e->n * sizeof(*s->single));
    }
    st->p = md_calloc(st->alloc, (size_t)st->s[0].width + 2, sizeof(double));
    st->q = md_calloc(st->alloc, (size_t)st->s[0].width + 2, sizeof(double));
    return st->p && st->q ? MD_OK : md_fail_nomem(err, sizeof(double));
}

/* ---- samples ---- */

static double target_of(const md_dataset *d, int64_t sample, int64_t k)
{
    return md_dataset_n_targets(d)
               ? ((const float *)
                      d->labels.data)[sample * d->labels.shape.dim[1] + k]
               : (double)md_dataset_class(d, sample);
}

static void take_numbers(side *s, int64_t at, const float *row)
{
    const int64_t sample = md_sweep_sample(&s->sweep, at);
    double squared = 0.0, absolute = 0.0;

    for (int64_t k = 0; k < s->width; k++) {
        double d = row[k] - target_of(s->sweep.data, sample, k);

        squared += d * d;
        absolute += fabs(d);
    }
    s->outcomes.squared[at] = squared / (double)s->width;
    s->outcomes.absolute[at] = absolute / (double)s->width;
}

/* A class that is said outright. */
static void take_label(md_outcomes *o, int64_t at, int32_t truth, float said)
{
    int64_t c = said >= 0 && said < (float)o->n_classes ? (int64_t)said : -1;

    o->truth[at] = truth;
    /* What no label is called counts as another class than the true one. */
    o->predicted[at] =
        (int32_t)(c >= 0 ? c : (truth + 1) % (int32_t)o->n_classes);
    o->place[at] = o->predicted[at] == truth ? 0 : (int32_t)o->n_classes;
}

static void take_sample(state *st, side *s, int64_t at, const float *row)
{
    const md_dataset *d = s->sweep.data;
    int32_t truth = 0;

    if (st->e->task == MD_TASK_NUMBERS) {
        take_numbers(s, at, row);
        return;
    }
    if (st->e->task == MD_TASK_CLASSES)
        truth = (int32_t)md_dataset_class(d, md_sweep_sample(&s->sweep, at));
    if (s->only_labels) {
        take_label(&s->outcomes, at, truth, row[0]);
    } else if (s->single) {
        s->single[at] = row[0];
        s->outcomes.truth[at] = truth;
    } else {
        md_outcomes_take(&s->outcomes, at, truth, row);
    }
}

/* How far the model's rows are from the original's. */
static void compare_rows(state *st, int64_t n)
{
    const int64_t width = st->s[0].width;

    for (int64_t i = 0; i < n; i++) {
        const float *a = st->s[0].row + i * width,
                    *b = st->s[1].row + i * width;
        double sum = 0.0;

        for (int64_t k = 0; k < width; k++)
            sum += fabs((double)a[k] - b[k]);
        st->distance += sum / (double)width;
        if (width < 2 || st->e->task == MD_TASK_NUMBERS)
            continue;
        md_probabilities(st->q, a, width, st->s[0].is_probability);
        md_probabilities(st->p, b, width, st->s[1].is_probability);
        st->divergence += md_divergence(st->p, st->q, width);
    }
}

static md_status run_side(state *st, side *s, int64_t at, int64_t n,
                          md_error *err)
{
    md_run *r;
    md_status status;

    MD_TRY(md_run_batch(&r, s->session, &s->sweep, at, n, err));
    status = load_rows(st, s, r, n, err);
    md_run_release(r);
    if (status == MD_OK && at == 0)
        s->is_probability = md_are_probabilities(s->row, n, s->width);
    return status;
}

static md_status visit_all(state *st, md_error *err)
{
    const int64_t n = st->e->n;
    int64_t batch = BATCH, own;

    for (int k = 0; k < st->n_sides; k++) {
        MD_TRY(md_sweep_batch(&own, &st->s[k].sweep, st->s[k].session, err));
        if (k > 0 && own != batch)
            return md_fail(err, MD_UNSUPPORTED,
                           "the model's batch is fixed to %lld and the "
                           "original's to %lld",
                           (long long)batch, (long long)own);
        batch = own;
    }
    for (int64_t at = 0; at < n; at += batch) {
        int64_t m = md_min_i64(batch, n - at);

        for (int k = 0; k < st->n_sides; k++)
            MD_TRY(run_side(st, &st->s[k], at, m, err));
        if (at == 0)
            MD_TRY(begin(st, err));
        for (int k = 0; k < st->n_sides; k++) {
            side *s = &st->s[k];

            for (int64_t i = 0; i < m; i++)
                take_sample(st, s, at + i, s->row + i * s->width);
        }
        if (st->n_sides == 2)
            compare_rows(st, m);
    }
    return MD_OK;
}

/* Of one score: above a half where all lie in [0, 1], else above 0, it says
 * class 1. */
static void decide(side *s)
{
    md_outcomes *o = &s->outcomes;
    float limit = 0.5f;

    for (int64_t i = 0; i < o->n; i++) {
        if (!(s->single[i] >= 0.0f && s->single[i] <= 1.0f))
            limit = 0.0f;
    }
    for (int64_t i = 0; i < o->n; i++) {
        float scores[2] = { 0.0f, s->single[i] - limit };

        md_outcomes_take(o, i, o->truth[i], scores);
    }
}

/* ---- figures ---- */

/* All of one model. */
static void compute(const state *st, const side *s, const uint32_t *weight,
                    double *out)
{
    const md_evaluation *e = st->e;
    const md_outcomes *o = &s->outcomes;
    int n = 0;

    if (e->task == MD_TASK_NUMBERS) {
        out[n++] = md_metric_mean(o->squared, o->n, weight);
        out[n] = md_metric_mean(o->absolute, o->n, weight);
        return;
    }
    out[n++] = md_metric_top(o, 1, weight);
    out[n++] = md_metric_f1(o, weight);
    if (e->top_k > 0)
        out[n++] = md_metric_top(o, e->top_k, weight);
    if (o->score)
        out[n] = md_metric_auc(o, weight);
}

static void name_figures(state *st)
{
    md_evaluation *e = st->e;

    if (e->task == MD_TASK_NUMBERS) {
        e->figure[e->n_figures++].name = "mse";
        e->figure[e->n_figures++].name = "mae";
        return;
    }
    e->figure[e->n_figures++].name = "accuracy";
    e->figure[e->n_figures++].name = "f1_macro";
    if (e->top_k > 0)
        e->figure[e->n_figures++].name = "top_k";
    if (st->s[0].outcomes.score)
        e->figure[e->n_figures++].name = "auc";
}

/* Those of the model, then its minus the original's. */
static void compute_both(void *ctx, const uint32_t *weight, double *out)
{
    const state *st = ctx;
    const int n = st->e->n_figures;
    double other[MD_FIGURES_MAX];

    compute(st, &st->s[0], weight, out);
    if (st->n_sides < 2)
        return;
    compute(st, &st->s[1], weight, other);
    for (int i = 0; i < n; i++)
        out[n + i] = out[i] - other[i];
}

static md_status find_intervals(state *st, md_error *err)
{
    md_evaluation *e = st->e;
    md_interval got[2 * MD_FIGURES_MAX];

    e->rounds = md_bootstrap_rounds(e->n);
    MD_TRY(md_bootstrap(got, e->n_figures * st->n_sides, e->n, compute_both, st,
                        e->seed, st->alloc, err));
    for (int i = 0; i < e->n_figures; i++) {
        e->figure[i].interval = got[i];
        if (st->n_sides == 2)
            e->figure[i].difference_interval = got[e->n_figures + i];
    }
    if (e->task == MD_TASK_CLASSES)
        e->figure[0].interval = md_interval_share(
            (int64_t)llround(e->figure[0].value * (double)e->n), e->n);
    return MD_OK;
}

static md_status find_figures(state *st, md_error *err)
{
    md_evaluation *e = st->e;
    double got[2 * MD_FIGURES_MAX];

    if (e->task == MD_TASK_NONE)
        return MD_OK;
    e->top_k = e->task == MD_TASK_CLASSES && !st->s[0].only_labels &&
                       st->opts->top_k > 1 && st->opts->top_k < e->n_classes
                   ? st->opts->top_k
                   : 0;
    for (int k = 0; k < st->n_sides; k++) {
        if (st->s[k].outcomes.score && st->s[0].only_labels) {
            md_free(st->alloc, st->s[k].outcomes.score);
            st->s[k].outcomes.score = NULL;
        }
        if (st->s[k].outcomes.score)
            MD_TRY(md_outcomes_sort(&st->s[k].outcomes, err));
    }
    name_figures(st);
    compute_both(st, NULL, got);
    for (int i = 0; i < e->n_figures; i++) {
        e->figure[i].value = got[i];
        if (st->n_sides == 2) {
            e->figure[i].difference = got[e->n_figures + i];
            e->figure[i].original = got[i] - got[e->n_figures + i];
        }
    }
    if (e->task == MD_TASK_CLASSES)
        e->worst = md_metric_worst(&st->s[0].outcomes);
    return st->opts->intervals ? find_intervals(st, err) : MD_OK;
}

static void compare(state *st)
{
    md_evaluation *e = st->e;
    const md_outcomes *a = &st->s[0].outcomes, *b = &st->s[1].outcomes;

    e->compared = true;
    e->distance = st->distance / (double)e->n;
    e->divergence = NAN;
    if (e->task == MD_TASK_NUMBERS)
        return;
    if (st->s[0].width > 1)
        e->divergence = st->divergence / (double)e->n;
    for (int64_t i = 0; i < e->n; i++) {
        e->n_same += a->predicted[i] == b->predicted[i];
        e->only_this += a->place[i] == 0 && b->place[i] != 0;
        e->only_original += a->place[i] != 0 && b->place[i] == 0;
    }
    if (e->task == MD_TASK_CLASSES)
        md_mcnemar(e->only_this, e->only_original, &e->p_exact, &e->p_mid);
}

static md_status evaluate(state *st, md_error *err)
{
    for (int k = 0; k < st->n_sides; k++)
        MD_TRY(choose_output(&st->s[k], err));
    MD_TRY(visit_all(st, err));
    for (int k = 0; k < st->n_sides; k++) {
        if (st->s[k].single && !st->s[k].only_labels)
            decide(&st->s[k]);
    }
    MD_TRY(find_figures(st, err));
    if (st->n_sides == 2)
        compare(st);
    return MD_OK;
}

md_status md_evaluate(md_evaluation *out, const md_eval_side *model,
                      const md_eval_side *original, const md_eval_opts *opts,
                      md_error *err)
{
    const md_eval_side *given[2] = { model, original };
    state st = { .e = out,
                 .opts = opts,
                 .n_sides = original ? 2 : 1,
                 .alloc = model->data->alloc };
    md_status s;

    for (int k = 0; k < st.n_sides; k++) {
        st.s[k].session = given[k]->session;
        st.s[k].sweep =
            (md_sweep){ given[k]->data, opts->which, BATCH, opts->pool };
    }
    *out = (md_evaluation){ .n = md_sweep_n(&st.s[0].sweep),
                            .seed = opts->seed,
                            .worst = { .label = -1 } };
    if (out->n == 0)
        return md_fail(err, MD_INVALID, "no samples");
    s = evaluate(&st, err);
    for (int k = 0; k < st.n_sides; k++) {
        md_outcomes_release(&st.s[k].outcomes);
        md_free(st.alloc, st.s[k].row);
        md_free(st.alloc, st.s[k].single);
    }
    md_free(st.alloc, st.p);
    md_free(st.alloc, st.q);
    return s;
}

md_status md_accuracy(double *out, const md_model *model,
                      const md_dataset *data, md_pool *pool, md_error *err)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_eval_opts how = MD_EVAL_OPTS_INIT;
    md_evaluation e;
    md_eval_side it = { .data = data };
    md_model *copy;
    md_status s;

    MD_TRY(md_model_copy(&copy, model, err));
    opts.pool = pool;
    s = md_session_new(&it.session, copy, &opts, err);
    if (s != MD_OK) {
        md_model_free(copy);
        return s;
    }
    how.task = MD_TASK_CLASSES;
    how.pool = pool;
    how.intervals = false;
    s = md_evaluate(&e, &it, NULL, &how, err);
    md_session_free(it.session);
    if (s == MD_OK)
        *out = e.figure[0].value;
    return s;
}
