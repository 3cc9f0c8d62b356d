#include "optimize/prune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "optimize/importance.h"
#include "optimize/reconstruct.h"
#include "optimize/stopwatch.h"
#include "train/renorm.h"

enum {
    BATCH = 64, /* samples in one execution */
    /* Groups of that many channels keep a multiple of 8, whole vectors of
     * AVX: below it the steps would be too wide. */
    WIDE = 32,
    MULTIPLE = 8,
    STEPS = 20,     /* of bisection */
    TIME_STEPS = 6, /* of the same with a stopwatch, and of giving back */
    PARTS = 64,     /* of which a group without a multiple gets one back */
};

typedef struct pruner {
    const md_prune_opts *o;
    md_cut cut;
    md_subset which;
    uint32_t *take; /* by group: units to cut */
    md_prune_report *report;
} pruner;

const char *md_importance_name(md_importance i)
{
    static const char *const names[] = { "auto", "weights", "taylor",
                                         "reconstruction" };

    return names[i];
}

/* ---- how much ---- */

/* Does the group keep a multiple, for speed? */
static bool keeps_multiple(const md_cut_group *g, md_prune_goal goal)
{
    return goal != MD_PRUNE_CHANNELS && g->is_channels && g->n >= WIDE;
}

/* Units of a group that stay when a share of them goes: just that, unless it is
 * speed that is asked for. */
static uint32_t kept(const md_cut_group *g, double share, md_prune_goal goal)
{
    const double left = (double)g->n * (1.0 - share);
    double n = round(left);

    if (keeps_multiple(g, goal))
        n = fmax(round(left / MULTIPLE) * MULTIPLE, MULTIPLE);
    return n < 1.0 ? 1 : n > (double)g->n ? g->n : (uint32_t)n;
}

/* Take n units of a group; which ones does not matter yet. */
static void take(pruner *p, uint32_t group, uint32_t n)
{
    const md_cut_group *g = &p->cut.group[group];

    p->take[group] = n;
    for (uint32_t u = 0; u < g->n; u++)
        p->cut.unit[g->first + u].out = u < n;
}

/* The same share of each. */
static void take_share(pruner *p, double share)
{
    for (uint32_t i = 0; i < p->cut.n_groups; i++) {
        const md_cut_group *g = &p->cut.group[i];

        take(p, i, g->n - kept(g, share, p->o->goal));
    }
    p->report->share = share;
}

/* What the goal measures of what is left, as a share. */
static md_status measure(pruner *p, const md_model *model, double *left,
                         md_error *err)
{
    double *before = &p->report->time_before, *after = &p->report->time_after;
    md_model *small;
    md_status s;

    if (p->o->goal == MD_PRUNE_MACS) {
        *left = (double)md_cut_macs(&p->cut) /
                (double)md_max_i64(p->report->macs_before, 1);
        return MD_OK;
    }
    MD_TRY(md_cut_apply(&small, &p->cut, err));
    s = p->o->time ? p->o->time(p->o->ctx, before, after, model, small, err)
                   : md_stopwatch(before, after, model, small, p->o->pool, err);
    md_model_free(small);
    *left = *after / *before;
    return s;
}

static md_status measure_share(pruner *p, const md_model *model, double share,
                               double *left, md_error *err)
{
    take_share(p, share);
    return measure(p, model, left, err);
}

/* The group that has the least of its units and may get some back. */
static uint32_t poorest(const pruner *p, const bool *settled)
{
    uint32_t best = MD_UNIT_NONE;
    double least = 1.0;

    for (uint32_t i = 0; i < p->cut.n_groups; i++) {
        const uint32_t n = p->cut.group[i].n;
        const double has = (double)(n - p->take[i]) / (double)n;

        if (!settled[i] && has < least) {
            least = has;
            best = i;
        }
    }
    return best;
}

/* How many it gets back at once. */
static uint32_t portion(const pruner *p, uint32_t group)
{
    const md_cut_group *g = &p->cut.group[group];
    const uint32_t gone = p->take[group];
    uint32_t n = 1 + (g->n - 1) / PARTS;

    if (keeps_multiple(g, p->o->goal))
        n = MULTIPLE - (g->n - gone) % MULTIPLE;
    return n < gone ? n : gone;
}

/* Give a group some of its units back; *fits when the goal is still met, else
 * nothing has changed. */
static md_status give_some(pruner *p, uint32_t group, const md_model *model,
                           bool *fits, md_error *err)
{
    md_prune_report *r = p->report;
    const double before = r->time_before, after = r->time_after;
    const uint32_t gone = p->take[group];
    double left;

    take(p, group, gone - portion(p, group));
    MD_TRY(measure(p, model, &left, err));
    *fits = left <= p->o->amount;
    if (*fits)
        return MD_OK;
    take(p, group, gone);
    r->time_before = before;
    r->time_after = after;
    return MD_OK;
}

/* Rounding takes too much, of many groups at once: some of it goes back as long
 * as the goal is met, to the poorest first. */
static md_status give_back(pruner *p, const md_model *model, md_error *err)
{
    const bool timed = p->o->goal == MD_PRUNE_LATENCY;
    bool *settled =
        md_arena_calloc(&p->cut.arena, p->cut.n_groups, sizeof(*settled));
    uint32_t i;

    if (!settled)
        return md_fail_nomem(err, p->cut.n_groups);
    for (int n = 0; !timed || n < TIME_STEPS; n++) {
        bool fits = false;

        if ((i = poorest(p, settled)) == MD_UNIT_NONE)
            break;
        MD_TRY(give_some(p, i, model, &fits, err));
        settled[i] = !fits;
    }
    return MD_OK;
}

/* The least share of units that meets the goal, and what of it can be given
 * back. */
static md_status find_share(pruner *p, const md_model *model, md_error *err)
{
    const bool timed = p->o->goal == MD_PRUNE_LATENCY;
    double low = 0.0, high = 1.0, left;

    MD_TRY(measure_share(p, model, high, &left, err));
    if (left > p->o->amount)
        return md_fail(err, MD_INVALID,
                       "%s: a share of %.3g asked for, %.3g is the least that "
                       "can be left",
                       timed ? "latency" : "multiply-accumulates", p->o->amount,
                       left);
    for (int i = 0; i < (timed ? TIME_STEPS : STEPS); i++) {
        const double share = 0.5 * (low + high);

        MD_TRY(measure_share(p, model, share, &left, err));
        if (left > p->o->amount)
            low = share;
        else
            high = share;
    }
    MD_TRY(measure_share(p, model, high, &left, err));
    return left > p->o->amount ? MD_OK : give_back(p, model, err);
}

/* ---- which ---- */

/* The lowest scores of each group, the first ones of equal ones. */
static void choose_by_score(pruner *p)
{
    for (uint32_t i = 0; i < p->cut.n_groups; i++) {
        const md_cut_group *g = &p->cut.group[i];
        md_cut_unit *unit = p->cut.unit + g->first;

        for (uint32_t k = 0; k < p->take[i]; k++) {
            uint32_t best = MD_UNIT_NONE;

            for (uint32_t u = 0; u < g->n; u++) {
                if (!unit[u].out &&
                    (best == MD_UNIT_NONE || unit[u].score < unit[best].score))
                    best = u;
            }
            unit[best].out = true;
        }
    }
}

static md_status reconstruct(pruner *p, const md_sweep *sweep, md_error *err)
{
    md_reconstruct *r;
    md_status s;

    MD_TRY(md_reconstruct_open(&r, &p->cut, sweep, err));
    for (uint32_t i = 0; i < p->cut.n_groups; i++)
        md_reconstruct_choose(r, i, p->take[i]);
    s = md_reconstruct_finish(r, err);
    md_reconstruct_free(r);
    return s;
}

static md_status choose(pruner *p, const md_sweep *sweep, md_error *err)
{
    for (uint32_t u = 0; u < p->cut.n_units; u++)
        p->cut.unit[u].out = false;
    if (p->report->importance == MD_IMPORTANCE_RECONSTRUCT)
        return reconstruct(p, sweep, err);
    if (p->report->importance == MD_IMPORTANCE_TAYLOR)
        MD_TRY(md_importance_taylor(&p->cut, p->o->data, &p->which, p->o->pool,
                                    err));
    else
        MD_TRY(md_importance_weights(&p->cut, err));
    choose_by_score(p);
    return MD_OK;
}

/* ---- the whole ---- */

static int64_t count_params(const md_model *m)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < m->graph->n_values; i++) {
        const md_tensor *t = m->graph->values[i].cdata;

        n += t && md_dtype_is_float(t->dtype) ? md_tensor_n(t) : 0;
    }
    return n;
}

static md_status check(const pruner *p, md_error *err)
{
    const md_prune_opts *o = p->o;

    if (!(o->amount > 0.0 && o->amount < 1.0))
        return md_fail(err, MD_INVALID,
                       "a share of %g given, between 0 and 1 expected",
                       o->amount);
    if (!o->data && o->importance > MD_IMPORTANCE_WEIGHTS)
        return md_fail(err, MD_INVALID, "importance %s needs data",
                       md_importance_name(o->importance));
    if (p->cut.n_groups == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "nothing in the model can be cut: no product with "
                       "constant float32 weights makes channels that only "
                       "products and operators on each of them read");
    return MD_OK;
}

static md_status fill_rows(pruner *p, md_error *err)
{
    md_prune_report *r = p->report;

    r->row = md_arena_calloc(&r->arena, p->cut.n_groups + 1u, sizeof(*r->row));
    if (!r->row)
        return md_fail_nomem(err, p->cut.n_groups * sizeof(*r->row));
    for (uint32_t i = 0; i < p->cut.n_groups; i++) {
        const md_cut_group *g = &p->cut.group[i];
        md_prune_row *row = &r->row[r->n_rows++];

        *row = (md_prune_row){ .name = md_arena_strdup(&r->arena, g->name),
                               .before = g->n,
                               .after = g->n - p->take[i] };
        if (!row->name)
            return md_fail_nomem(err, strlen(g->name));
    }
    return MD_OK;
}

static md_status prune(pruner *p, md_model **out, const md_model *model,
                       md_error *err)
{
    md_sweep sweep = { .data = p->o->data,
                       .which = &p->which,
                       .batch = BATCH,
                       .pool = p->o->pool };
    md_prune_report *r = p->report;

    MD_TRY(check(p, err));
    r->importance = p->o->importance != MD_IMPORTANCE_AUTO ? p->o->importance
                    : p->o->data ? MD_IMPORTANCE_RECONSTRUCT
                                 : MD_IMPORTANCE_WEIGHTS;
    p->take = md_arena_calloc(&p->cut.arena, p->cut.n_groups, sizeof(uint32_t));
    if (!p->take)
        return md_fail_nomem(err, p->cut.n_groups * sizeof(uint32_t));
    r->macs_before = md_cut_macs(&p->cut);
    r->params_before = count_params(p->cut.model);
    if (p->o->goal == MD_PRUNE_CHANNELS)
        take_share(p, p->o->amount);
    else
        MD_TRY(find_share(p, model, err));
    MD_TRY(fill_rows(p, err));
    MD_TRY(choose(p, &sweep, err));
    r->macs_after = md_cut_macs(&p->cut);
    MD_TRY(md_cut_apply(out, &p->cut, err));
    r->params_after = count_params(*out);
    return p->o->data ? md_renorm(*out, &sweep, &r->n_norms, err) : MD_OK;
}

/* Some samples, all of them on request. */
static md_status choose_samples(pruner *p, md_error *err)
{
    if (!p->o->data)
        return MD_OK;
    MD_TRY(md_subset_all(&p->which, p->o->data, err));
    md_subset_shuffle(&p->which, p->o->seed, 0);
    p->which.n = md_min_i64(p->which.n, p->o->n_samples);
    return MD_OK;
}

static md_status set_lineage(const pruner *p, md_model *m,
                             const md_model *parent, md_error *err)
{
    const md_prune_opts *o = p->o;
    static const char *const goals[] = { "channels", "macs", "latency" };
    char text[160];

    snprintf(text, sizeof(text),
             "prune %s=%.9g importance=%s samples=%lld seed=%llu",
             goals[o->goal], o->amount,
             md_importance_name(p->report->importance), (long long)p->which.n,
             (unsigned long long)o->seed);
    return md_model_set_lineage(m, parent, text, err);
}

md_status md_prune(md_model **out, const md_model *model,
                   const md_prune_opts *opts, md_prune_report *report,
                   md_error *err)
{
    pruner p = { .o = opts, .report = report };
    md_model *m = NULL;
    md_status s;

    *report = (md_prune_report){ .n_rows = 0 };
    md_arena_init(&report->arena, model->alloc, 0);
    s = md_cut_open(&p.cut, model, err);
    if (s == MD_OK)
        s = choose_samples(&p, err);
    if (s == MD_OK)
        s = prune(&p, &m, model, err);
    if (s == MD_OK)
        s = set_lineage(&p, m, model, err);
    md_subset_release(&p.which);
    md_cut_release(&p.cut);
    if (s == MD_OK) {
        *out = m;
        return MD_OK;
    }
    md_model_free(m);
    md_prune_report_release(report);
    return s;
}

void md_prune_report_release(md_prune_report *r)
{
    md_arena_release(&r->arena);
    *r = (md_prune_report){ .n_rows = 0 };
}
