#include "serve/ensembles.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

#define MD_LOG_TAG "serve"

/* Those that are served, each with a reference. */
typedef struct held {
    md_served **v;
    uint32_t n, cap;
    md_arena ar;
    md_status status;
} held;

static void hold(void *ctx, const md_model_row *row)
{
    held *h = ctx;

    if (!row->served || !md_ensemble_is(row->served->model))
        return;
    if (h->status == MD_OK)
        h->status = md_arena_grow(&h->ar, (void *)&h->v, &h->cap, h->n,
                                  sizeof(*h->v), NULL);
    if (h->status != MD_OK)
        return;
    md_served_ref(row->served);
    h->v[h->n++] = row->served;
}

/* Of the model called so, or of all: NULL. */
static void hold_all(held *h, md_models *models, const char *name)
{
    *h = (held){ .n = 0 };
    md_arena_init(&h->ar, md_alloc_default(), 0);
    md_models_each(models, name, hold, h);
}

static void let_go(held *h)
{
    for (uint32_t i = 0; i < h->n; i++)
        md_served_unref(h->v[i]);
    md_arena_release(&h->ar);
}

uint64_t md_ensembles_stamp(md_models *models, const md_config_steps *steps,
                            uint64_t stamp)
{
    for (uint32_t i = 0; i < steps->n; i++) {
        md_served *v = md_ensemble_step_of(models, &steps->v[i], NULL);
        const uint64_t key[2] = { stamp, v ? v->id + 1 : 0 };

        stamp = md_hash(key, sizeof(key));
        if (v)
            md_served_unref(v);
    }
    return stamp;
}

/* ---- after a change ---- */

static void renew_one(md_models *models, const md_served *old)
{
    const md_serve_model *m = old->model;
    md_models_new_one one = { .number = strtoll(m->version, NULL, 10) };
    md_error why = MD_ERROR_INIT;
    md_serve_model *new = NULL;
    md_status s = md_ensemble_again(&new, m, &why);

    if (s == MD_OK)
        s = md_served_new(&one.served, models, new, &why);
    if (s == MD_OK) {
        MD_LOG(MD_LOG_INFO, "ensemble made anew", md_log_str("model", m->name),
               md_log_str("version", m->version));
        md_models_install(models, m->name, &one, 1, false);
        return;
    }
    md_serve_model_free(new);
    MD_LOG(MD_LOG_ERROR, "ensemble not made anew", md_log_str("model", m->name),
           md_log_str("version", m->version), md_log_error(&why));
    md_models_fail(models, m->name, one.number, why.msg);
}

/* False: it is as it should be. */
static bool follow_one(md_models *models, const md_served *v, bool renew)
{
    const char *gone;

    if (md_ensemble_is_current(v->model, &gone) || (!gone && !renew))
        return false;
    if (!gone) {
        renew_one(models, v);
        return true;
    }
    MD_LOG(MD_LOG_WARN, "ensemble unloaded: a step is served no more",
           md_log_str("model", v->model->name), md_log_str("step", gone));
    return md_models_retire(models, v->model->name);
}

void md_ensembles_follow(md_models *models, bool renew)
{
    uint32_t n_left = 1; /* rounds: as deep as ensembles can be nested */
    bool changed = true;

    for (uint32_t round = 0; changed && round <= n_left; round++) {
        held h;

        hold_all(&h, models, NULL);
        n_left = h.n;
        changed = false;
        for (uint32_t i = 0; i < h.n; i++)
            changed = follow_one(models, h.v[i], renew) || changed;
        let_go(&h);
    }
}

static md_status add_name(const char ***out, uint32_t *n, uint32_t *cap,
                          const char *name, md_arena *ar, md_error *err)
{
    for (uint32_t i = 0; i < *n; i++)
        if (strcmp((*out)[i], name) == 0)
            return MD_OK;
    MD_TRY(md_arena_grow(ar, (void *)out, cap, *n, sizeof(**out), err));
    (*out)[*n] = md_arena_strdup(ar, name);
    if (!(*out)[*n])
        return md_fail_nomem(err, strlen(name));
    ++*n;
    return MD_OK;
}

md_status md_ensembles_steps(md_models *models, const char *name,
                             const char ***out, uint32_t *n, md_arena *ar,
                             md_error *err)
{
    md_status s;
    uint32_t cap = 0;
    held h;

    *out = NULL;
    *n = 0;
    hold_all(&h, models, name);
    s = h.status == MD_OK ? MD_OK : md_fail_nomem(err, sizeof(*h.v));
    for (uint32_t i = 0; s == MD_OK && i < h.n; i++) {
        const md_config_steps *steps = &h.v[i]->model->config->ensemble;

        for (uint32_t k = 0; s == MD_OK && k < steps->n; k++)
            s = add_name(out, n, &cap, steps->v[k].model, ar, err);
    }
    let_go(&h);
    return s;
}
