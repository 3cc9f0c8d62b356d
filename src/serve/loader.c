#include "serve/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "serve/ensembles.h"

#define MD_LOG_TAG "serve"

enum {
    CALLS_MAX = 64,
    NESTED_MAX = 16,  /* ensembles as steps of ensembles */
    NICE = 10,        /* loading does not take the processor from serving */
    SETTLE_MS = 1000, /* files that changed just now are still being written */
    NS_PER_MS = 1000000
};

/* A model with a path of its own. */
typedef struct source {
    const char *name;
    const char *path;
} source;

struct md_loader {
    const md_alloc *alloc;
    md_loader_opts opts;
    md_models *models;
    void (*run)(md_call *c);
    md_arena arena; /* of sources */
    source *sources;
    uint32_t n_sources, cap_sources;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    md_call *calls[CALLS_MAX];
    uint32_t head, n_calls;
    bool woken;
    bool stop;
};

md_status md_loader_new(md_loader **out, const md_loader_opts *opts,
                        md_models *models, void (*run)(md_call *c),
                        const md_alloc *alloc, md_error *err)
{
    md_loader *l = md_calloc(alloc, 1, sizeof(*l));
    pthread_condattr_t attr;

    if (!l)
        return md_fail_nomem(err, sizeof(*l));
    l->alloc = alloc;
    l->opts = *opts;
    l->opts.load.models = models;
    l->models = models;
    l->run = run;
    md_arena_init(&l->arena, alloc, 0);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &attr);
    pthread_condattr_destroy(&attr);
    *out = l;
    return MD_OK;
}

void md_loader_free(md_loader *l)
{
    if (!l)
        return;
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    md_arena_release(&l->arena);
    md_free(l->alloc, l);
}

/* ---- where models are ---- */

static const source *find_source(const md_loader *l, const char *name)
{
    for (uint32_t i = 0; i < l->n_sources; i++)
        if (strcmp(l->sources[i].name, name) == 0)
            return &l->sources[i];
    return NULL;
}

md_status md_loader_add(md_loader *l, const char *name, const char *path,
                        md_error *err)
{
    source *s;

    MD_TRY(md_model_name_check(name, err));
    if (find_source(l, name))
        return md_fail(err, MD_EXISTS,
                       "model name '%s' is given twice; name one of them with "
                       "NAME=FILE",
                       name);
    MD_TRY(md_arena_grow(&l->arena, &l->sources, &l->cap_sources, l->n_sources,
                         sizeof(*l->sources), err));
    s = &l->sources[l->n_sources];
    s->name = md_arena_strdup(&l->arena, name);
    s->path = md_arena_strdup(&l->arena, path);
    if (!s->name || !s->path)
        return md_fail_nomem(err, strlen(path));
    l->n_sources++;
    return MD_OK;
}

/* A model's own path goes before one of that name in the repository. */
static md_status find_path(const md_loader *l, const char **path,
                           const char *name, md_arena *ar, md_error *err)
{
    const source *s;

    MD_TRY(md_model_name_check(name, err));
    s = find_source(l, name);
    if (s) {
        *path = s->path;
        return MD_OK;
    }
    if (l->opts.repository)
        return md_repo_find(path, l->opts.repository, name, ar, err);
    return md_fail(err, MD_NOT_FOUND,
                   "there is no model '%s', and no repository", name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

md_status md_loader_names(const md_loader *l, const char ***out, uint32_t *n,
                          md_arena *ar, md_error *err)
{
    const char **found = NULL;
    uint32_t n_found = 0;
    const char **all;
    uint32_t count = 0;

    if (l->opts.repository)
        MD_TRY(md_repo_names(&found, &n_found, l->opts.repository, ar, err));
    all = md_arena_calloc(ar, (size_t)n_found + l->n_sources + 1, sizeof(*all));
    if (!all)
        return md_fail_nomem(err, n_found * sizeof(*all));
    for (uint32_t i = 0; i < l->n_sources; i++)
        all[count++] = l->sources[i].name;
    for (uint32_t i = 0; i < n_found; i++)
        if (!find_source(l, found[i]))
            all[count++] = found[i];
    qsort((void *)all, count, sizeof(*all), by_text);
    *out = all;
    *n = count;
    return MD_OK;
}

/* ---- loading ---- */

/* How a model is to be brought up to date. */
typedef struct task task;
struct task {
    md_loader *l;
    const task *whole; /* the ensemble that it is a step of; or NULL */
    md_repo_model m;
    bool polled;       /* what failed is tried again only when it changed */
    bool unsettled;    /* polled: a version is still being written */
    uint32_t n_failed; /* versions that are not what is on disk */
    md_models_new_one *list;
    uint32_t n;
    md_error *err; /* of the first failure */
    md_error step; /* why a step of the ensemble could not be loaded */
};

static void fail_version(task *t, const md_repo_version *v, const md_error *why)
{
    MD_LOG(MD_LOG_ERROR, "model not loaded", md_log_str("model", t->m.name),
           md_log_int("version", v->number), md_log_error(why));
    md_models_fail(t->l->models, t->m.name, v->number, why->msg);
    if (t->n_failed == 0)
        (void)md_fail(t->err, why->status, "version %lld: %s",
                      (long long)v->number, why->msg);
    t->n_failed++;
}

static bool is_settled(const md_repo_version *v)
{
    const int64_t age = md_clock_wall_ns() - v->stamp.changed_ns;

    return age < 0 || age >= (int64_t)SETTLE_MS * NS_PER_MS;
}

static void keep(task *t, int64_t number, md_served *served)
{
    t->list[t->n++] = (md_models_new_one){ number, served };
}

/* What a version is made of; of an ensemble also the models of its steps. */
static uint64_t stamp_of(const task *t, const md_repo_version *v)
{
    const md_config_steps *steps = &t->m.config.ensemble;

    return steps->n ? md_ensembles_stamp(t->l->models, steps, v->stamp.hash)
                    : v->stamp.hash;
}

static void load_version(task *t, const md_repo_version *v)
{
    const uint64_t stamp = stamp_of(t, v);
    md_loader *l = t->l;
    md_error why = MD_ERROR_INIT;
    md_serve_model *model = NULL;
    md_served *served = NULL;
    md_status s;
    bool ready;

    if (md_models_has_stamp(l->models, t->m.name, v->number, stamp, &ready)) {
        if (ready) {
            keep(t, v->number, NULL);
            return;
        }
        t->n_failed += t->polled;
        if (t->polled)
            return;
    }
    if (t->polled && !is_settled(v)) {
        t->unsettled = true;
        t->n_failed++;
        return;
    }
    s = md_models_begin(l->models, t->m.name, v->number, &why);
    md_models_set_stamp(l->models, t->m.name, v->number, stamp);
    if (s == MD_OK)
        s = md_serve_load(&model, &t->m, v, &l->opts.load, &why);
    if (s == MD_NOT_FOUND && t->step.status != MD_OK)
        why = t->step;
    if (s == MD_OK)
        s = md_served_new(&served, l->models, model, &why);
    if (s == MD_OK) {
        keep(t, v->number, served);
        return;
    }
    md_serve_model_free(model);
    fail_version(t, v, &why);
}

/* The model as a whole is wrong; logged once for each reason. */
static void fail_whole(md_loader *l, const char *name, const md_error *why)
{
    md_stamp st = { 0, 0 };
    bool ready;

    md_stamp_text(&st, why->msg);
    if (md_models_has_stamp(l->models, name, MD_MODEL_WHOLE, st.hash, &ready) ||
        md_models_begin(l->models, name, MD_MODEL_WHOLE, NULL) != MD_OK)
        return;
    MD_LOG(MD_LOG_ERROR, "model not loaded", md_log_str("model", name),
           md_log_error(why));
    md_models_fail(l->models, name, MD_MODEL_WHOLE, why->msg);
    md_models_set_stamp(l->models, name, MD_MODEL_WHOLE, st.hash);
}

static md_status bring_up(task *t, const char *name, const char *path,
                          const char *config_json, md_arena *ar);

/* Is the model that step of it, directly or not? */
static md_status check_nesting(const task *t, const char *step, md_error *err)
{
    int depth = 0;

    for (const task *whole = t; whole; whole = whole->whole, depth++)
        if (strcmp(whole->m.name, step) == 0)
            return md_fail(err, MD_INVALID,
                           "step '%.80s': the ensembles form a cycle", step);
    if (depth > NESTED_MAX)
        return md_fail(err, MD_INVALID,
                       "step '%.80s': ensembles are nested more than %d deep",
                       step, NESTED_MAX);
    return MD_OK;
}

/* Bring the model of a step up to date when the disk is polled, else only into
 * service. */
static md_status load_step(task *t, const char *step, md_arena *ar,
                           md_error *err)
{
    md_error why = MD_ERROR_INIT;
    task of = { .l = t->l, .whole = t, .polled = t->polled, .err = &why };
    const char *path;
    md_served *there;
    md_status s;

    MD_TRY(check_nesting(t, step, err));
    if (!t->polled &&
        md_models_find(t->l->models, &there, step, NULL, NULL) == MD_OK) {
        md_served_unref(there);
        return MD_OK;
    }
    s = find_path(t->l, &path, step, ar, &why);
    if (s == MD_OK)
        s = bring_up(&of, step, path, NULL, ar);
    return s == MD_OK ? MD_OK
                      : md_fail(err, s, "step '%.80s': %s", step, why.msg);
}

/* A step that cannot be loaded may still be served as it was: whether the
 * ensemble has all it needs is seen when it is put together. */
static void load_steps(task *t, md_arena *ar)
{
    const md_config_steps *steps = &t->m.config.ensemble;

    for (uint32_t i = 0; i < steps->n; i++) {
        md_error why = MD_ERROR_INIT;

        if (load_step(t, steps->v[i].model, ar, &why) != MD_OK &&
            t->step.status == MD_OK)
            t->step = why;
    }
}

/* The model at `path` as it is on disk now. */
static md_status bring_up(task *t, const char *name, const char *path,
                          const char *config_json, md_arena *ar)
{
    md_loader *l = t->l;
    md_error why = MD_ERROR_INIT;
    md_repo_model *m = &t->m;
    md_status s = md_repo_read(m, name, path, config_json, ar, &why);

    if (s != MD_OK) {
        fail_whole(l, name, &why);
        return md_fail(t->err, s, "%s", why.msg);
    }
    t->list = md_arena_calloc(ar, m->n, sizeof(*t->list));
    if (!t->list)
        return md_fail_nomem(t->err, m->n * sizeof(*t->list));
    load_steps(t, ar);
    for (uint32_t i = 0; i < m->n; i++)
        load_version(t, &m->versions[i]);
    md_models_install(l->models, name, t->list, t->n, t->n_failed == 0);
    if (t->n_failed == 0 || t->polled)
        return MD_OK;
    return t->err ? t->err->status : MD_UNAVAILABLE;
}

static md_status load(md_loader *l, const char *name, const char *config_json,
                      md_error *err)
{
    md_error why = MD_ERROR_INIT;
    task t = { .l = l, .err = &why };
    const char *path;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, l->alloc, 0);
    s = find_path(l, &path, name, &ar, &why);
    if (s == MD_OK)
        s = bring_up(&t, name, path, config_json, &ar);
    md_arena_release(&ar);
    md_ensembles_follow(l->models, true);
    if (s == MD_OK)
        return MD_OK;
    return md_fail(err, s, "failed to load '%.128s': %s", name, why.msg);
}

static md_status check_control(const md_loader *l, const char *what,
                               const char *name, md_error *err)
{
    static const char *const names[] = { "none", "poll", "explicit" };

    if (l->opts.control == MD_CONTROL_EXPLICIT)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "cannot %s '%.128s': model_control is '%s', 'explicit' "
                   "expected",
                   what, name, names[l->opts.control]);
}

md_status md_loader_load(md_loader *l, const char *name,
                         const char *config_json, md_error *err)
{
    MD_TRY(check_control(l, "load", name, err));
    return load(l, name, config_json, err);
}

static bool retire(md_loader *l, const char *name)
{
    if (!md_models_retire(l->models, name))
        return false;
    MD_LOG(MD_LOG_INFO, "model unloaded", md_log_str("model", name));
    return true;
}

md_status md_loader_unload(md_loader *l, const char *name, bool with_steps,
                           md_error *err)
{
    const char **steps = NULL;
    uint32_t n_steps = 0;
    const char *path;
    md_arena ar;
    md_status s = MD_OK;

    MD_TRY(check_control(l, "unload", name, err));
    MD_TRY(md_model_name_check(name, err));
    md_arena_init(&ar, l->alloc, 0);
    if (with_steps)
        s = md_ensembles_steps(l->models, name, &steps, &n_steps, &ar, err);
    if (s == MD_OK && retire(l, name)) {
        for (uint32_t i = 0; i < n_steps; i++)
            (void)retire(l, steps[i]);
        md_ensembles_follow(l->models, true);
    } else if (s == MD_OK) {
        s = find_path(l, &path, name, &ar, err);
    }
    md_arena_release(&ar);
    return s;
}

/* ---- looking at the disk ---- */

typedef struct gone {
    const char *const *names;
    uint32_t n;
    md_arena *ar;
    const char *name; /* one that is ready and not on disk; NULL: none */
} gone;

static void find_gone(void *ctx, const md_model_row *row)
{
    gone *g = ctx;

    if (g->name || row->state != MD_MODEL_READY ||
        (g->n && bsearch((const void *)&row->name, (const void *)g->names, g->n,
                         sizeof(*g->names), by_text)))
        return;
    g->name = md_arena_strdup(g->ar, row->name);
}

static void retire_gone(md_loader *l, const char *const *names, uint32_t n,
                        md_arena *ar)
{
    for (;;) {
        gone g = { names, n, ar, NULL };

        md_models_each(l->models, NULL, find_gone, &g);
        if (!g.name)
            return;
        (void)retire(l, g.name);
    }
}

/* Returns when to look again, in milliseconds. */
static uint32_t poll_disk(md_loader *l)
{
    md_error err = MD_ERROR_INIT;
    uint32_t next = l->opts.poll_ms;
    const char **names = NULL;
    md_arena ar;
    uint32_t n;

    md_arena_init(&ar, l->alloc, 0);
    if (md_loader_names(l, &names, &n, &ar, &err) != MD_OK) {
        MD_LOG(MD_LOG_ERROR, "repository not read", md_log_error(&err));
        n = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        task t = { .l = l, .polled = true };
        const char *path;

        if (find_path(l, &path, names[i], &ar, NULL) == MD_OK)
            (void)bring_up(&t, names[i], path, NULL, &ar);
        if (t.unsettled && next > SETTLE_MS)
            next = SETTLE_MS;
    }
    if (names)
        retire_gone(l, names, n, &ar);
    md_ensembles_follow(l->models, false);
    md_arena_release(&ar);
    return next;
}

/* ---- the start ---- */

static md_status begin_repository(md_loader *l, md_error *first, md_error *err)
{
    const bool chosen = l->opts.control == MD_CONTROL_EXPLICIT;
    const char *list = l->opts.at_start ? l->opts.at_start : "";
    const char **names;
    md_arena ar;
    md_status s;
    uint32_t n;

    if (chosen && strcmp(list, "*") != 0 && !*list)
        return MD_OK;
    md_arena_init(&ar, l->alloc, 0);
    s = md_loader_names(l, &names, &n, &ar, err);
    for (uint32_t i = 0; s == MD_OK && i < n; i++) {
        md_error why = MD_ERROR_INIT;

        if (find_source(l, names[i]) || (chosen && strcmp(list, "*") != 0 &&
                                         !md_text_in_list(names[i], list, ',')))
            continue;
        if (load(l, names[i], NULL, &why) != MD_OK && first->status == MD_OK)
            *first = why;
    }
    md_arena_release(&ar);
    return s;
}

md_status md_loader_begin(md_loader *l, md_error *err)
{
    md_error first = MD_ERROR_INIT;

    for (uint32_t i = 0; i < l->n_sources; i++)
        MD_TRY(load(l, l->sources[i].name, NULL, err));
    if (!l->opts.repository)
        return MD_OK;
    MD_TRY(begin_repository(l, &first, err));
    if (l->opts.control != MD_CONTROL_NONE || md_models_n_ready(l->models) > 0)
        return MD_OK;
    if (first.status != MD_OK)
        return md_fail(err, first.status, "%s", first.msg);
    return md_fail(err, MD_NOT_FOUND, "repository '%s' has no model",
                   l->opts.repository);
}

/* ---- the thread ---- */

/* Wait for a call, for something to reap, or until `due_ns` (0: for ever);
 * the lock is held. */
static void wait_for_work(md_loader *l, int64_t due_ns)
{
    const struct timespec until = { .tv_sec = due_ns / 1000000000,
                                    .tv_nsec = due_ns % 1000000000 };

    while (!l->stop && !l->woken && l->n_calls == 0) {
        if (due_ns == 0)
            pthread_cond_wait(&l->changed, &l->lock);
        else if (pthread_cond_timedwait(&l->changed, &l->lock, &until) != 0)
            return;
    }
}

static md_call *take_call(md_loader *l)
{
    md_call *c = NULL;

    if (l->n_calls > 0) {
        c = l->calls[l->head];
        l->head = (l->head + 1) % CALLS_MAX;
        l->n_calls--;
    }
    return c;
}

static void *work(void *arg)
{
    md_loader *l = arg;
    const bool polls = l->opts.control == MD_CONTROL_POLL;
    int64_t due = md_clock_ns() + (int64_t)l->opts.poll_ms * NS_PER_MS;
    bool stop = false;

    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone */
    while (!stop) {
        md_call *c;

        pthread_mutex_lock(&l->lock);
        wait_for_work(l, polls ? due : 0);
        l->woken = false;
        c = take_call(l);
        stop = l->stop && !c;
        pthread_mutex_unlock(&l->lock);
        if (c)
            l->run(c);
        md_models_reap(l->models);
        if (!stop && polls && md_clock_ns() >= due) {
            const uint32_t next = poll_disk(l);

            due = md_clock_ns() + (int64_t)next * NS_PER_MS;
        }
    }
    return NULL;
}

md_status md_loader_start(md_loader *l, md_error *err)
{
    sigset_t all;
    sigset_t saved;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    l->started = pthread_create(&l->thread, NULL, work, l) == 0;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return l->started ? MD_OK
                      : md_fail(err, MD_UNAVAILABLE,
                                "cannot start the thread that loads models");
}

void md_loader_stop(md_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    l->started = false;
}

md_status md_loader_push(md_loader *l, md_call *c, md_error *err)
{
    md_status s = MD_OK;

    pthread_mutex_lock(&l->lock);
    if (l->stop) {
        s = md_fail(err, MD_UNAVAILABLE, "server is shutting down");
    } else if (l->n_calls == CALLS_MAX) {
        s = md_fail(err, MD_BUSY, "%u requests wait for models to be loaded",
                    l->n_calls);
    } else {
        l->calls[(l->head + l->n_calls++) % CALLS_MAX] = c;
        pthread_cond_signal(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return s;
}

void md_loader_wake(md_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->woken = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}
