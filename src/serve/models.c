#include "serve/models.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum {
    VERSION_SIZE = 24
};

/* Members belong to the table's lock. */
typedef struct version {
    int64_t number;
    char text[VERSION_SIZE];
    md_model_state state;
    char reason[MD_ERROR_MSG_SIZE];
    md_served *served; /* READY: counted; UNLOADING: only to be recognized */
    uint64_t stamp;
    bool tried; /* stamp is set */
} version;

typedef struct entry {
    char *name;
    version *versions; /* rising */
    uint32_t n, cap;
} entry;

struct md_models {
    const md_alloc *alloc;
    pthread_mutex_t lock;
    entry **entries; /* as they were added */
    entry **sorted;  /* by name */
    uint32_t n, cap, cap_sorted;
    md_served *loose; /* without references */
    void (*wake)(void *ctx);
    void *ctx;
    uint32_t queue_max;
    _Atomic uint64_t n_served; /* ever made */
};

const char *md_model_state_name(md_model_state s)
{
    static const char *const names[] = { "", "LOADING", "READY", "UNLOADING",
                                         "UNAVAILABLE" };

    return names[s];
}

md_status md_models_new(md_models **out, void (*wake)(void *ctx), void *ctx,
                        uint32_t queue_max, const md_alloc *alloc,
                        md_error *err)
{
    md_models *ms = md_calloc(alloc, 1, sizeof(*ms));

    if (!ms)
        return md_fail_nomem(err, sizeof(*ms));
    ms->alloc = alloc;
    ms->wake = wake;
    ms->ctx = ctx;
    ms->queue_max = queue_max;
    pthread_mutex_init(&ms->lock, NULL);
    *out = ms;
    return MD_OK;
}

static void free_served(md_served *v)
{
    const md_alloc *alloc = v->home->alloc;

    md_serve_model_free(v->model);
    md_model_stats_release(&v->stats, alloc);
    md_free(alloc, v->lane);
    md_free(alloc, v);
}

void md_models_free(md_models *ms)
{
    if (!ms)
        return;
    for (uint32_t i = 0; i < ms->n; i++)
        (void)md_models_retire(ms, ms->entries[i]->name);
    md_models_reap(ms);
    for (uint32_t i = 0; i < ms->n; i++) {
        md_free(ms->alloc, ms->entries[i]->versions);
        md_free(ms->alloc, ms->entries[i]->name);
        md_free(ms->alloc, ms->entries[i]);
    }
    md_free(ms->alloc, (void *)ms->entries);
    md_free(ms->alloc, (void *)ms->sorted);
    pthread_mutex_destroy(&ms->lock);
    md_free(ms->alloc, ms);
}

/* ---- places; under the lock ---- */

/* Index of name in `sorted`, or where it would be. */
static uint32_t place_of(const md_models *ms, const char *name)
{
    uint32_t lo = 0;
    uint32_t hi = ms->n;

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;

        if (strcmp(ms->sorted[mid]->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static entry *find_entry(const md_models *ms, const char *name)
{
    const uint32_t i = place_of(ms, name);

    return i < ms->n && strcmp(ms->sorted[i]->name, name) == 0 ? ms->sorted[i]
                                                               : NULL;
}

static version *find_version(const md_models *ms, const char *name,
                             int64_t number)
{
    const entry *e = find_entry(ms, name);

    for (uint32_t i = 0; e && i < e->n; i++)
        if (e->versions[i].number == number)
            return &e->versions[i];
    return NULL;
}

static version *highest_ready(const entry *e)
{
    for (uint32_t i = e->n; i > 0; i--)
        if (e->versions[i - 1].state == MD_MODEL_READY)
            return &e->versions[i - 1];
    return NULL;
}

static md_status add_entry(md_models *ms, entry **out, const char *name,
                           md_error *err)
{
    const uint32_t at = place_of(ms, name);
    entry *e;

    MD_TRY(md_grow(ms->alloc, (void *)&ms->entries, &ms->cap, ms->n,
                   sizeof(*ms->entries), err));
    MD_TRY(md_grow(ms->alloc, (void *)&ms->sorted, &ms->cap_sorted, ms->n,
                   sizeof(*ms->sorted), err));
    e = md_calloc(ms->alloc, 1, sizeof(*e));
    if (e)
        e->name = md_strndup(ms->alloc, name, strlen(name));
    if (!e || !e->name) {
        md_free(ms->alloc, e);
        return md_fail_nomem(err, sizeof(*e));
    }
    memmove((void *)(ms->sorted + at + 1), (void *)(ms->sorted + at),
            (ms->n - at) * sizeof(*ms->sorted));
    ms->sorted[at] = e;
    ms->entries[ms->n++] = e;
    *out = e;
    return MD_OK;
}

static md_status add_version(md_models *ms, entry *e, int64_t number,
                             md_error *err)
{
    uint32_t at = e->n;
    version *v;

    MD_TRY(md_grow(ms->alloc, &e->versions, &e->cap, e->n, sizeof(*e->versions),
                   err));
    while (at > 0 && e->versions[at - 1].number > number)
        at--;
    v = &e->versions[at];
    memmove(v + 1, v, (e->n - at) * sizeof(*v));
    memset(v, 0, sizeof(*v));
    v->number = number;
    if (number >= 0)
        (void)snprintf(v->text, sizeof(v->text), "%lld", (long long)number);
    e->n++;
    return MD_OK;
}

/* ---- references ---- */

/* The last reference has gone; under the lock. */
static void let_loose(md_models *ms, md_served *v)
{
    v->next = ms->loose;
    ms->loose = v;
}

void md_served_ref(md_served *v)
{
    atomic_fetch_add(&v->refs, 1);
}

void md_served_unref(md_served *v)
{
    md_models *ms = v->home;

    if (atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    pthread_mutex_lock(&ms->lock);
    let_loose(ms, v);
    pthread_mutex_unlock(&ms->lock);
    if (ms->wake)
        ms->wake(ms->ctx);
}

/* The table lets go of it; under the lock. */
static void put_back(md_models *ms, md_served *v)
{
    if (v && atomic_fetch_sub(&v->refs, 1) == 1)
        let_loose(ms, v);
}

md_status md_models_find(md_models *ms, md_served **out, const char *name,
                         const char *version_text, md_error *err)
{
    const bool any = !version_text || !*version_text;
    const version *v = NULL;
    const entry *e = NULL;

    pthread_mutex_lock(&ms->lock);
    if (name)
        e = find_entry(ms, name);
    for (uint32_t i = 0; !name && !v && i < ms->n; i++) {
        e = ms->entries[i];
        v = highest_ready(e);
    }
    if (e && any)
        v = highest_ready(e);
    for (uint32_t i = 0; e && !any && i < e->n; i++)
        if (strcmp(e->versions[i].text, version_text) == 0 &&
            e->versions[i].state == MD_MODEL_READY)
            v = &e->versions[i];
    if (v) {
        *out = v->served;
        atomic_fetch_add(&v->served->refs, 1);
    }
    pthread_mutex_unlock(&ms->lock);
    if (v)
        return MD_OK;
    if (!name)
        return md_fail(err, MD_NOT_FOUND, "no model is loaded");
    if (!e)
        return md_fail(err, MD_NOT_FOUND,
                       "request for unknown model: '%.128s' is not found",
                       name);
    if (any)
        return md_fail(err, MD_NOT_FOUND,
                       "request for unknown model: '%.128s' has no available "
                       "versions",
                       name);
    return md_fail(err, MD_NOT_FOUND,
                   "request for unknown model: '%.128s' version %.32s is not "
                   "found",
                   name, version_text);
}

void md_models_each(md_models *ms, const char *name,
                    void (*fn)(void *ctx, const md_model_row *row), void *ctx)
{
    pthread_mutex_lock(&ms->lock);
    for (uint32_t i = 0; i < ms->n; i++) {
        const entry *e = ms->entries[i];

        if (name && strcmp(name, e->name) != 0)
            continue;
        for (uint32_t k = 0; k < e->n; k++) {
            const version *v = &e->versions[k];
            const md_model_row row = {
                .name = e->name,
                .number = v->number,
                .version = v->text,
                .state = v->state,
                .reason = v->reason,
                .served = v->state == MD_MODEL_READY ? v->served : NULL,
            };

            fn(ctx, &row);
        }
    }
    pthread_mutex_unlock(&ms->lock);
}

static void count_ready(void *ctx, const md_model_row *row)
{
    *(uint32_t *)ctx += row->state == MD_MODEL_READY;
}

uint32_t md_models_n_ready(md_models *ms)
{
    uint32_t n = 0;

    md_models_each(ms, NULL, count_ready, &n);
    return n;
}

/* Rows that were waiting for this version to be let go. */
static void tell_gone(md_models *ms, const md_served *v)
{
    const entry *e = find_entry(ms, v->model->name);

    for (uint32_t i = 0; e && i < e->n; i++) {
        version *row = &e->versions[i];

        if (row->state != MD_MODEL_UNLOADING || row->served != v)
            continue;
        row->state = MD_MODEL_UNAVAILABLE;
        row->served = NULL;
        (void)snprintf(row->reason, sizeof(row->reason), "unloaded");
    }
}

void md_models_reap(md_models *ms)
{
    for (;;) {
        md_served *v;

        pthread_mutex_lock(&ms->lock);
        v = ms->loose;
        if (v) {
            ms->loose = v->next;
            tell_gone(ms, v);
        }
        pthread_mutex_unlock(&ms->lock);
        if (!v)
            return;
        free_served(v);
    }
}

/* ---- changes ---- */

md_status md_served_new(md_served **out, md_models *ms, md_serve_model *model,
                        md_error *err)
{
    md_served *v = md_calloc(ms->alloc, 1, sizeof(*v));
    md_status s;

    if (!v)
        return md_fail_nomem(err, sizeof(*v));
    v->home = ms;
    s = md_model_stats_init(&v->stats, md_max_i64(model->max_batch, 1),
                            ms->alloc, err);
    if (s == MD_OK && md_serve_model_waits(model)) {
        v->lane = md_calloc(ms->alloc, 1, sizeof(*v->lane));
        s = v->lane ? MD_OK : md_fail_nomem(err, sizeof(*v->lane));
    }
    if (s != MD_OK) {
        free_served(v);
        return s;
    }
    if (v->lane)
        md_lane_init(v->lane, &model->batching, model->max_batch,
                     model->n_instances, ms->queue_max);
    v->model = model;
    v->id = atomic_fetch_add(&ms->n_served, 1);
    atomic_store(&v->refs, 1);
    *out = v;
    return MD_OK;
}

void md_served_drop(md_served *v)
{
    if (v)
        free_served(v);
}

md_status md_models_begin(md_models *ms, const char *name, int64_t number,
                          md_error *err)
{
    md_status s = MD_OK;
    version *v;
    entry *e;

    pthread_mutex_lock(&ms->lock);
    e = find_entry(ms, name);
    if (!e)
        s = add_entry(ms, &e, name, err);
    if (s == MD_OK && !find_version(ms, name, number))
        s = add_version(ms, e, number, err);
    v = find_version(ms, name, number);
    if (s == MD_OK && v && v->state != MD_MODEL_READY) {
        v->state = MD_MODEL_LOADING;
        v->served = NULL;
        v->reason[0] = '\0';
    }
    pthread_mutex_unlock(&ms->lock);
    return s;
}

void md_models_fail(md_models *ms, const char *name, int64_t number,
                    const char *reason)
{
    version *v;

    pthread_mutex_lock(&ms->lock);
    v = find_version(ms, name, number);
    if (v) {
        (void)snprintf(v->reason, sizeof(v->reason), "%s", reason);
        if (v->state != MD_MODEL_READY)
            v->state = MD_MODEL_UNAVAILABLE;
    }
    pthread_mutex_unlock(&ms->lock);
}

/* Of a version that is in service. */
static void retire(md_models *ms, version *v)
{
    if (v->state != MD_MODEL_READY)
        return;
    v->state = MD_MODEL_UNLOADING;
    v->reason[0] = '\0';
    v->tried = false;
    put_back(ms, v->served);
}

/* Forget rows that are neither in service nor being let go. */
static void sweep(entry *e, const md_models_new_one *list, uint32_t n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        bool keep = e->versions[i].state == MD_MODEL_UNLOADING;

        for (uint32_t k = 0; k < n; k++)
            keep = keep || e->versions[i].number == list[k].number;
        if (keep)
            e->versions[kept++] = e->versions[i];
    }
    e->n = kept;
}

void md_models_install(md_models *ms, const char *name,
                       const md_models_new_one *list, uint32_t n, bool only)
{
    bool loose;
    entry *e;

    pthread_mutex_lock(&ms->lock);
    e = find_entry(ms, name);
    for (uint32_t i = 0; i < n; i++) {
        version *v = find_version(ms, name, list[i].number);

        if (!v || !list[i].served)
            continue;
        if (v->state == MD_MODEL_READY)
            put_back(ms, v->served);
        v->served = list[i].served;
        v->state = MD_MODEL_READY;
        v->reason[0] = '\0';
    }
    for (uint32_t i = 0; only && e && i < e->n; i++) {
        bool stays = false;

        for (uint32_t k = 0; k < n; k++)
            stays = stays || list[k].number == e->versions[i].number;
        if (!stays)
            retire(ms, &e->versions[i]);
    }
    if (only && e)
        sweep(e, list, n);
    loose = ms->loose != NULL;
    pthread_mutex_unlock(&ms->lock);
    if (loose && ms->wake)
        ms->wake(ms->ctx);
}

void md_models_set_stamp(md_models *ms, const char *name, int64_t number,
                         uint64_t stamp)
{
    version *v;

    pthread_mutex_lock(&ms->lock);
    v = find_version(ms, name, number);
    if (v) {
        v->stamp = stamp;
        v->tried = true;
    }
    pthread_mutex_unlock(&ms->lock);
}

bool md_models_has_stamp(md_models *ms, const char *name, int64_t number,
                         uint64_t stamp, bool *ready)
{
    const version *v;
    bool same;

    pthread_mutex_lock(&ms->lock);
    v = find_version(ms, name, number);
    same = v && v->tried && v->stamp == stamp;
    *ready = v && v->state == MD_MODEL_READY;
    pthread_mutex_unlock(&ms->lock);
    return same;
}

bool md_models_retire(md_models *ms, const char *name)
{
    bool loose;
    entry *e;

    pthread_mutex_lock(&ms->lock);
    e = find_entry(ms, name);
    for (uint32_t i = 0; e && i < e->n; i++)
        retire(ms, &e->versions[i]);
    loose = ms->loose != NULL;
    pthread_mutex_unlock(&ms->lock);
    if (loose && ms->wake)
        ms->wake(ms->ctx);
    return e != NULL;
}
