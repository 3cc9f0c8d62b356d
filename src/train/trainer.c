#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/size.h"
#include "data/subset.h"
#include "train/checkpoint.h"
#include "train/runner.h"

enum {
    LANES = MD_CACHE_LINE / sizeof(float),
    PROBED = 256 /* samples that tell data sets apart */
};

typedef struct trainer {
    const md_dataset *data;
    md_train_opts opts;
    md_step_model step;
    md_session *session;
    md_run *run;
    md_subset order;
    md_slot *slots;         /* by parameter */
    const float **gradient; /* the same; the run's */
    bool **zero;    /* of kernels with keep_zeros: elements that stay 0 */
    float *state;   /* what the slots are in */
    size_t n_state; /* floats */
    int64_t batch, n_batches;
    int64_t at;    /* steps done */
    double loss;   /* sum over the batches of this epoch */
    int64_t right; /* samples of this epoch */
    uint64_t key[2];
    int64_t start_ns, started_at;
    md_arena arena;
} trainer;

const char *md_loss_name(md_loss loss)
{
    static const char *const names[] = { "auto", "cross-entropy", "binary",
                                         "mse" };

    return names[loss];
}

/* ---- the loss ---- */

static bool are_two_classes(const md_dataset *d)
{
    for (int64_t i = 0; i < d->n; i++) {
        if (md_dataset_class(d, i) < 0 || md_dataset_class(d, i) > 1)
            return false;
    }
    return true;
}

static md_status check_teacher(md_loss *loss, const md_teacher *t,
                               const md_dataset *d, int64_t width,
                               md_error *err)
{
    if (*loss == MD_LOSS_AUTO)
        *loss = MD_LOSS_CROSS_ENTROPY;
    if (*loss != MD_LOSS_CROSS_ENTROPY || t->width != width || t->n != d->n)
        return md_fail(err, MD_INVALID,
                       "the teacher gives %lld scores for %lld samples, loss "
                       "cross-entropy and %lld for %lld expected",
                       (long long)t->width, (long long)t->n, (long long)width,
                       (long long)d->n);
    return MD_OK;
}

static md_status choose_loss(md_loss *loss, const md_dataset *d, int64_t width,
                             const md_teacher *teacher, md_error *err)
{
    const int64_t targets = md_dataset_n_targets(d);

    if (!d->labels.data && teacher)
        return check_teacher(loss, teacher, d, width, err);
    if (!d->labels.data)
        return md_fail(err, MD_INVALID, "the data has no labels 'y'");
    if (*loss == MD_LOSS_AUTO)
        *loss = targets > 0          ? MD_LOSS_MSE
                : width > 1          ? MD_LOSS_CROSS_ENTROPY
                : are_two_classes(d) ? MD_LOSS_BINARY
                                     : MD_LOSS_MSE;
    if (*loss == MD_LOSS_CROSS_ENTROPY && width > 1)
        return md_dataset_check_classes(d, width, err);
    if (*loss == MD_LOSS_BINARY && width == 1)
        return md_dataset_check_classes(d, 2, err);
    if (*loss == MD_LOSS_MSE && (targets ? targets : 1) == width)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "loss %s does not fit %lld values for each sample and "
                   "labels of %lld",
                   md_loss_name(*loss), (long long)width,
                   (long long)(targets ? targets : 1));
}

/* ---- the state ---- */

static size_t rounded(int64_t n)
{
    return md_round_up((size_t)n, LANES);
}

/* Arrays of each parameter, one behind the other. */
static md_status make_slots(trainer *t, md_error *err)
{
    const md_params *p = &t->step.params;
    const md_optimizer_opts *o = &t->opts.optimizer;
    const size_t copies =
        2 + (size_t)(o->kind == MD_OPTIMIZER_ADAMW) + (size_t)(o->ema > 0.0);
    float *at;

    t->slots = md_arena_calloc(&t->arena, p->n, sizeof(*t->slots));
    t->gradient = md_arena_calloc(&t->arena, p->n, sizeof(*t->gradient));
    for (uint32_t i = 0; i < p->n; i++)
        t->n_state += copies * rounded(p->p[i].n);
    t->state =
        md_malloc_aligned(t->data->alloc, t->n_state * sizeof(*t->state));
    if (!t->slots || !t->gradient || !t->state)
        return md_fail_nomem(err, t->n_state * sizeof(*t->state));
    memset(t->state, 0, t->n_state * sizeof(*t->state));
    at = t->state;
    for (uint32_t i = 0; i < p->n; i++) {
        const size_t n = rounded(p->p[i].n);
        md_slot *s = &t->slots[i];

        s->value = at;
        s->first = at + n;
        at += 2 * n;
        if (o->kind == MD_OPTIMIZER_ADAMW)
            s->second = at, at += n;
        if (o->ema > 0.0)
            s->average = at, at += n;
    }
    return MD_OK;
}

static void set_values(trainer *t)
{
    for (uint32_t i = 0; i < t->step.params.n; i++) {
        const md_param *p = &t->step.params.p[i];
        const md_slot *s = &t->slots[i];
        const size_t size = (size_t)p->n * sizeof(float);

        if (t->opts.from_random)
            md_param_draw(s->value, p, t->opts.seed, i);
        else
            memcpy(s->value, p->from, size);
        if (s->average)
            memcpy(s->average, s->value, size);
    }
}

static md_status mark_zeros(trainer *t, md_error *err)
{
    const md_params *p = &t->step.params;

    t->zero = md_arena_calloc(&t->arena, p->n, sizeof(*t->zero));
    if (!t->zero)
        return md_fail_nomem(err, p->n * sizeof(*t->zero));
    for (uint32_t i = 0; i < p->n && t->opts.keep_zeros; i++) {
        const int64_t n = p->p[i].n;

        if (p->p[i].kind != MD_PARAM_KERNEL)
            continue;
        t->zero[i] = md_arena_calloc(&t->arena, (size_t)n, sizeof(bool));
        if (!t->zero[i])
            return md_fail_nomem(err, (size_t)n);
        for (int64_t k = 0; k < n; k++)
            t->zero[i][k] = p->p[i].from[k] == 0.0f;
    }
    return MD_OK;
}

static void clear_zeros(trainer *t)
{
    for (uint32_t i = 0; i < t->step.params.n; i++) {
        md_slot *s = &t->slots[i];

        for (int64_t k = 0; t->zero[i] && k < t->step.params.p[i].n; k++) {
            if (!t->zero[i][k])
                continue;
            s->value[k] = 0.0f;
            if (s->average)
                s->average[k] = 0.0f;
        }
    }
}

/* ---- what makes trainings the same ---- */

static md_status hash_data(uint64_t *out, const trainer *t, md_error *err)
{
    const md_dataset *d = t->data;
    const uint64_t zero[2] = { 0, (uint64_t)d->n };
    const size_t size = d->labels.data ? md_tensor_size(&d->labels) : 0;
    uint64_t k[2] = { 0, md_hash_keyed(zero, d->labels.data, size) };

    if (t->opts.which)
        k[1] = md_hash_keyed(k, t->opts.which->at,
                             (size_t)t->opts.which->n *
                                 sizeof(*t->opts.which->at));
    for (int64_t i = 0; i < PROBED && i < d->n; i++) {
        uint64_t h;

        MD_TRY(md_dataset_hash(d, i * (d->n / md_min_i64(PROBED, d->n)), k[1],
                               &h, err));
        k[1] = h;
    }
    *out = k[1];
    return MD_OK;
}

/* The options that count, as text: it is the recipe too. */
static char *recipe(trainer *t)
{
    const md_train_opts *o = &t->opts;
    const md_optimizer_opts *p = &o->optimizer;

    return md_arena_printf(
        &t->arena,
        "train loss=%s epochs=%lld batch=%lld optimizer=%s lr=%.9g "
        "momentum=%.9g beta1=%.9g beta2=%.9g decay=%.9g clip=%.9g ema=%.9g "
        "warmup=%.9g smoothing=%.9g from-random=%d seed=%llu",
        md_loss_name(o->loss), (long long)o->epochs, (long long)t->batch,
        p->kind == MD_OPTIMIZER_SGD ? "sgd" : "adamw", p->rate, p->momentum,
        p->beta1, p->beta2, p->decay, p->clip, p->ema, o->warmup, o->smoothing,
        o->from_random, (unsigned long long)o->seed);
}

/* The same of what not every training has; "" without. */
static char *extra_recipe(trainer *t)
{
    const md_teacher *of = t->opts.teacher;
    const uint64_t zero[2] = { 0, 2 };

    if (!of)
        return md_arena_strdup(&t->arena,
                               t->opts.keep_zeros ? " keep-zeros=1" : "");
    return md_arena_printf(
        &t->arena, "%s teacher=%016llx temperature=%.9g alpha=%.9g",
        t->opts.keep_zeros ? " keep-zeros=1" : "",
        (unsigned long long)md_hash_keyed(
            zero, of->scores, (size_t)(of->n * of->width) * sizeof(float)),
        t->opts.temperature, t->opts.alpha);
}

/* The key of checkpoints, and the lineage of the result. */
static md_status identify(trainer *t, md_model *m, const char **parent,
                          const char **made, md_error *err)
{
    uint64_t model = 0, data = 0;
    char *text = recipe(t), *of = extra_recipe(t);

    MD_TRY(md_model_hash(&model, m, err));
    MD_TRY(hash_data(&data, t, err));
    *parent = md_arena_printf(&t->arena, "%016llx", (unsigned long long)model);
    *made = text && of ? md_arena_printf(&t->arena, "%s%s data=%016llx", text,
                                         of, (unsigned long long)data)
                       : NULL;
    if (!*parent || !*made)
        return md_fail_nomem(err, 16);
    t->key[0] = model;
    t->key[1] = md_hash_keyed(t->key, *made, strlen(*made));
    return MD_OK;
}

/* ---- preparing ---- */

static md_status open_session(trainer *t, md_error *err)
{
    /* Strict: a sample's bits do not depend on how work is cut. */
    const md_session_opts o = { .pool = t->opts.pool,
                                .precision = MD_PRECISION_STRICT,
                                .runs_kept = 1 };

    MD_TRY(md_session_new(&t->session, t->step.model, &o, err));
    t->step.model = NULL;
    return MD_OK;
}

static md_status open_run(trainer *t, md_error *err)
{
    const md_step_model *s = &t->step;
    const uint32_t n = md_session_n_inputs(t->session);
    md_shape *shapes = md_arena_calloc(&t->arena, n, sizeof(*shapes));

    if (!shapes)
        return md_fail_nomem(err, n * sizeof(*shapes));
    for (uint32_t i = 0; i < s->n_data; i++)
        shapes[i] = md_dataset_shape(t->data, i, t->batch);
    shapes[s->target] = (md_shape){ 2, { t->batch, s->width } };
    if (s->teacher != UINT32_MAX)
        shapes[s->teacher] = shapes[s->target];
    if (s->seed != UINT32_MAX)
        shapes[s->seed] = (md_shape){ 1, { 1 } };
    for (uint32_t i = 0; i < s->params.n; i++)
        shapes[s->param_in + i] = s->params.p[i].shape;
    MD_TRY(md_run_acquire(&t->run, t->session, shapes, err));
    for (uint32_t i = 0; i < s->params.n; i++)
        md_run_bind_input(t->run, s->param_in + i, t->slots[i].value);
    return MD_OK;
}

static md_status cut_batches(trainer *t, md_error *err)
{
    const int64_t n = t->order.n, fixed = t->step.fixed_batch;

    t->batch = fixed ? fixed : md_min_i64(t->opts.batch, n);
    if (t->batch > n || t->batch < 1)
        return md_fail(err, MD_INVALID,
                       "%lld samples given, at least the model's batch of "
                       "%lld expected",
                       (long long)n, (long long)t->batch);
    t->n_batches = n / t->batch;
    t->opts.optimizer.total = t->n_batches * t->opts.epochs;
    t->opts.optimizer.warmup =
        md_min_i64((int64_t)(t->opts.warmup * (double)t->n_batches),
                   t->opts.optimizer.total);
    return MD_OK;
}

static md_status prepare(trainer *t, const md_model *m, md_error *err)
{
    md_step_opts how = { .loss = MD_LOSS_AUTO };
    md_step_output y;

    MD_TRY(md_step_find_output(&y, m, err));
    MD_TRY(choose_loss(&t->opts.loss, t->data, y.width, t->opts.teacher, err));
    how.loss = t->opts.loss;
    if (t->opts.teacher) {
        MD_TRY(check_teacher(&t->opts.loss, t->opts.teacher, t->data, y.width,
                             err));
        how.temperature = (float)t->opts.temperature;
        how.alpha = t->data->labels.data ? (float)t->opts.alpha : 0.0f;
    }
    MD_TRY(md_step_model_make(&t->step, m, &how, err));
    MD_TRY(t->opts.which ? md_subset_copy(&t->order, t->opts.which, err)
                         : md_subset_all(&t->order, t->data, err));
    MD_TRY(cut_batches(t, err));
    MD_TRY(make_slots(t, err));
    MD_TRY(mark_zeros(t, err));
    set_values(t); /* both read the model's, which the session takes over */
    MD_TRY(open_session(t, err));
    return open_run(t, err);
}

/* ---- one step ---- */

static const int64_t *batch_at(const trainer *t)
{
    return t->order.at + t->at % t->n_batches * t->batch;
}

/* Row i of the targets: what sample `sample` should score. */
static void put_target(const trainer *t, float *row, int64_t sample)
{
    const int64_t width = t->step.width;
    const md_dataset *d = t->data;

    if (!d->labels.data) {
        memset(row, 0, (size_t)width * sizeof(*row));
    } else if (md_dataset_n_targets(d) > 0) {
        memcpy(row, (const float *)d->labels.data + sample * width,
               (size_t)width * sizeof(*row));
    } else if (t->opts.loss == MD_LOSS_CROSS_ENTROPY) {
        for (int64_t c = 0; c < width; c++)
            row[c] = (float)(t->opts.smoothing / (double)width);
        row[md_dataset_class(d, sample)] += (float)(1.0 - t->opts.smoothing);
    } else {
        row[0] = (float)md_dataset_class(d, sample);
        if (t->opts.loss == MD_LOSS_BINARY)
            row[0] = (float)(row[0] * (1.0 - t->opts.smoothing) +
                             0.5 * t->opts.smoothing);
    }
}

static md_status fill(trainer *t, md_error *err)
{
    const md_step_model *s = &t->step;
    const int64_t *at = batch_at(t);
    float *target = md_run_input(t->run, s->target)->data;

    for (uint32_t i = 0; i < s->n_data; i++)
        MD_TRY(md_dataset_read(t->data, i, at, 0, t->batch,
                               md_run_input(t->run, i), t->opts.pool, err));
    for (int64_t i = 0; i < t->batch; i++)
        put_target(t, target + i * s->width, at[i]);
    for (int64_t i = 0; s->teacher != UINT32_MAX && i < t->batch; i++)
        md_teacher_row(t->opts.teacher, at[i], t->opts.temperature,
                       (float *)md_run_input(t->run, s->teacher)->data +
                           i * s->width);
    if (s->seed != UINT32_MAX)
        *(int64_t *)md_run_input(t->run, s->seed)->data =
            (int64_t)(t->opts.seed * UINT64_C(0x9e3779b97f4a7c15) +
                      (uint64_t)t->at);
    return MD_OK;
}

static bool counts_right(const trainer *t)
{
    return t->opts.loss != MD_LOSS_MSE && t->data->labels.data;
}

static int64_t count_right(const trainer *t)
{
    const int64_t width = t->step.width;
    const float *z = md_run_output(t->run, t->step.scores)->data;
    int64_t n = 0;

    for (int64_t i = 0; i < t->batch; i++, z += width) {
        int64_t best = width == 1 ? z[0] > 0.0f : 0;

        for (int64_t c = 1; c < width; c++)
            best = z[c] > z[best] ? c : best;
        n += best == md_dataset_class(t->data, batch_at(t)[i]);
    }
    return n;
}

static md_status fail_diverged(const trainer *t, const char *what, double v,
                               md_error *err)
{
    return md_fail(err, MD_INVALID,
                   "training diverged: %s is %g at step %lld of %lld (epoch "
                   "%lld), with a rate of %g: a lower one may help",
                   what, v, (long long)t->at + 1,
                   (long long)t->opts.optimizer.total,
                   (long long)(t->at / t->n_batches) + 1,
                   md_optimizer_rate(&t->opts.optimizer, t->at));
}

static md_status take_step(trainer *t, md_error *err)
{
    const md_step_model *s = &t->step;
    double loss, norm;

    MD_TRY(fill(t, err));
    MD_TRY(md_run_execute(t->run, 0, err));
    loss = md_tensor_get_f64(md_run_output(t->run, s->loss), 0);
    for (uint32_t i = 0; i < s->params.n; i++)
        t->gradient[i] = md_run_output(t->run, s->param_out[i])->data;
    norm = md_gradient_norm(&s->params, t->gradient, t->opts.pool);
    if (!isfinite(loss))
        return fail_diverged(t, "the loss", loss, err);
    if (!isfinite(norm))
        return fail_diverged(t, "the gradient's norm", norm, err);
    t->loss += loss;
    if (counts_right(t))
        t->right += count_right(t);
    md_optimizer_step(&t->opts.optimizer, &s->params, t->slots, t->gradient,
                      norm, t->at, t->opts.pool);
    clear_zeros(t);
    return MD_OK;
}

/* ---- the loop ---- */

static md_status save_state(const trainer *t, md_error *err)
{
    const md_checkpoint c = { .key = { t->key[0], t->key[1] },
                              .step = t->at,
                              .loss = t->loss,
                              .right = t->right,
                              .state = t->state,
                              .n = t->n_state };

    return md_checkpoint_save(&c, t->opts.checkpoint, err);
}

static md_status resume(trainer *t, md_error *err)
{
    md_checkpoint c = { .key = { t->key[0], t->key[1] },
                        .state = t->state,
                        .n = t->n_state };
    bool found = false;

    if (!t->opts.checkpoint)
        return MD_OK;
    MD_TRY(md_checkpoint_load(&c, t->opts.checkpoint, &found, err));
    if (!found)
        return MD_OK;
    if (c.step > t->opts.optimizer.total)
        return md_fail(err, MD_CORRUPT, "'%s': step %lld of %lld",
                       t->opts.checkpoint, (long long)c.step,
                       (long long)t->opts.optimizer.total);
    t->at = t->started_at = c.step;
    t->loss = c.loss;
    t->right = c.right;
    return MD_OK;
}

static md_train_state state_of(const trainer *t)
{
    const int64_t total = t->opts.optimizer.total;
    const int64_t in_epoch = (t->at - 1) % t->n_batches + 1;
    const double seconds = (double)(md_clock_ns() - t->start_ns) * 1e-9;
    const double steps_per_s = (double)(t->at - t->started_at) / seconds;

    return (md_train_state){
        .epoch = (t->at - 1) / t->n_batches + 1,
        .epochs = t->opts.epochs,
        .step = t->at,
        .steps = total,
        .epoch_ends = in_epoch == t->n_batches,
        .loss = t->loss / (double)in_epoch,
        .accuracy = counts_right(t)
                        ? (double)t->right / (double)(in_epoch * t->batch)
                        : NAN,
        .rate = md_optimizer_rate(&t->opts.optimizer, t->at - 1),
        .samples_per_s = steps_per_s * (double)t->batch,
        .left_s = (double)(total - t->at) / steps_per_s
    };
}

static bool is_time_to_save(const trainer *t, bool epoch_ends)
{
    const int64_t every = t->opts.checkpoint_every;

    return t->opts.checkpoint && (every > 0 ? t->at % every == 0 : epoch_ends);
}

static md_status loop(trainer *t, md_train_report *r, md_error *err)
{
    md_subset_shuffle(&t->order, t->opts.seed,
                      (uint64_t)(t->at / t->n_batches));
    while (t->at < t->opts.optimizer.total) {
        md_train_state s;

        if (t->at % t->n_batches == 0) {
            md_subset_shuffle(&t->order, t->opts.seed,
                              (uint64_t)(t->at / t->n_batches));
            t->loss = 0.0;
            t->right = 0;
        }
        MD_TRY(take_step(t, err));
        t->at++;
        s = state_of(t);
        if (is_time_to_save(t, s.epoch_ends))
            MD_TRY(save_state(t, err));
        if (t->opts.watch)
            MD_TRY(t->opts.watch(t->opts.ctx, &s, err));
        if (!s.epoch_ends)
            continue;
        if (isnan(r->first_loss))
            r->first_loss = s.loss;
        r->last_loss = s.loss;
        r->last_accuracy = s.accuracy;
        r->samples_per_s = s.samples_per_s;
    }
    return MD_OK;
}

/* ---- the result ---- */

static md_status check_values(const trainer *t, const float *v,
                              const md_param *p, md_error *err)
{
    for (int64_t k = 0; k < p->n; k++) {
        if (!isfinite(v[k]))
            return md_fail(err, MD_INVALID,
                           "training diverged: '%s' holds %g at its end, with "
                           "a rate of %g: a lower one may help",
                           p->name, (double)v[k], t->opts.optimizer.rate);
    }
    return MD_OK;
}

static const float *result_of(const trainer *t, uint32_t i)
{
    return t->slots[i].average ? t->slots[i].average : t->slots[i].value;
}

/* Copies of all values, before the first one is put in its place. */
static md_status copy_values(const trainer *t, md_tensor *to,
                             const md_alloc *alloc, md_error *err)
{
    for (uint32_t i = 0; i < t->step.params.n; i++) {
        const md_param *p = &t->step.params.p[i];

        MD_TRY(check_values(t, result_of(t, i), p, err));
        MD_TRY(
            md_tensor_alloc_unset(&to[i], MD_DTYPE_F32, &p->shape, alloc, err));
        memcpy(to[i].data, result_of(t, i), (size_t)p->n * sizeof(float));
    }
    return MD_OK;
}

/* Parameters lie in the session's arena by name; the model's have the same. */
static md_status put_values(trainer *t, md_model *m, md_error *err)
{
    const uint32_t n = t->step.params.n;
    md_tensor *values = md_arena_calloc(&t->arena, n, sizeof(*values));
    md_status s;

    if (!values)
        return md_fail_nomem(err, n * sizeof(*values));
    MD_TRY(md_graph_lift_constants(m->graph, err));
    s = copy_values(t, values, m->alloc, err);
    for (uint32_t i = 0; i < n && s == MD_OK; i++) {
        md_value_id id = md_graph_find(m->graph, t->step.params.p[i].name);

        s = id == MD_VALUE_NONE
                ? md_fail(err, MD_INTERNAL, "no value '%s'",
                          t->step.params.p[i].name)
                : md_graph_set_const(m->graph, id, values[i], err);
        if (s == MD_OK)
            values[i] = (md_tensor)MD_TENSOR_INIT; /* the model's */
    }
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&values[i]);
    return s;
}

static md_status train(trainer *t, md_model *m, md_train_report *r,
                       md_error *err)
{
    const char *parent, *made;

    MD_TRY(prepare(t, m, err));
    MD_TRY(identify(t, m, &parent, &made, err));
    MD_TRY(resume(t, err));
    r->loss = t->opts.loss;
    r->n_samples = t->order.n;
    r->steps = t->opts.optimizer.total;
    r->resumed_at = t->at;
    for (uint32_t i = 0; i < t->step.params.n; i++)
        r->n_params += md_param_is_learned(t->step.params.p[i].kind)
                           ? t->step.params.p[i].n
                           : 0;
    t->start_ns = md_clock_ns();
    MD_TRY(loop(t, r, err));
    MD_TRY(put_values(t, m, err));
    if (t->opts.continues)
        return md_model_set_lineage(m, NULL, made, err);
    MD_TRY(md_model_set_meta(m, "modeld.parent", parent, err));
    return md_model_set_meta(m, "modeld.recipe", made, err);
}

md_status md_train(md_model *model, const md_dataset *data,
                   const md_train_opts *opts, md_train_report *report,
                   md_error *err)
{
    trainer t = { .data = data, .opts = *opts };
    md_status s;

    *report = (md_train_report){ .first_loss = NAN,
                                 .last_loss = NAN,
                                 .last_accuracy = NAN };
    md_arena_init(&t.arena, data->alloc, 0);
    s = train(&t, model, report, err);
    if (t.run)
        md_run_release(t.run);
    md_session_free(t.session);
    if (t.step.arena.alloc)
        md_step_model_release(&t.step);
    md_subset_release(&t.order);
    md_free(data->alloc, t.state);
    md_arena_release(&t.arena);
    return s;
}
