#include "serve/lane.h"

#include <stddef.h>

enum {
    PATIENCE_NS = 1000000, /* that reading more calls goes before a batch */
    NS_PER_US = 1000
};

void md_lane_init(md_lane *l, const md_config_batching *policy,
                  int64_t rows_max, int64_t n_instances, uint32_t size_max)
{
    *l = (md_lane){ .policy = *policy,
                    .rows_max = policy->on ? rows_max : 0,
                    .n_instances = n_instances,
                    .size_max = size_max };
    /* Two batches at once might end in another order. */
    if (policy->on && policy->preserve_ordering)
        l->n_instances = 1;
}

/* Does a go before b, which was there first? */
static bool is_before(const md_lane_item *a, const md_lane_item *b)
{
    if (a->late != b->late)
        return b->late;
    return a->level < b->level;
}

static void link_in(md_lane *l, md_lane_item *item)
{
    md_lane_item *before = l->last;

    while (before && is_before(item, before))
        before = before->prev;
    item->prev = before;
    item->next = before ? before->next : l->first;
    *(before ? &before->next : &l->first) = item;
    *(item->next ? &item->next->prev : &l->last) = item;
    l->n++;
}

static void link_out(md_lane *l, md_lane_item *item)
{
    *(item->prev ? &item->prev->next : &l->first) = item->next;
    *(item->next ? &item->next->prev : &l->last) = item->prev;
    item->prev = item->next = NULL;
    l->n--;
}

md_status md_lane_join(md_lane *l, md_lane_item *item, int64_t now_ns,
                       md_error *err)
{
    const md_config_queue *q;
    int64_t timeout;
    int64_t most;
    int64_t n = 0;

    if (item->level < 1 || item->level > l->policy.n_levels)
        item->level = l->policy.default_level;
    q = md_config_queue_of(&l->policy, item->level);
    most = q->size_max ? q->size_max : (int64_t)l->size_max;
    if ((int64_t)l->n >= most) /* else no priority can have so many */
        for (const md_lane_item *i = l->first; i; i = i->next)
            n += i->level == item->level;
    if (n >= most && n > 0)
        return md_fail(err, MD_BUSY,
                       "model is overloaded: %lld requests wait, at most %lld "
                       "may",
                       (long long)n, (long long)most);
    timeout = q->timeout_us;
    if (q->allow_override && item->timeout_us > 0 &&
        (timeout == 0 || item->timeout_us < timeout))
        timeout = item->timeout_us;
    item->joined_ns = now_ns;
    item->late = false;
    item->due_ns = INT64_MAX;
    if (timeout > 0 && timeout < INT64_MAX / NS_PER_US - now_ns / NS_PER_US)
        item->due_ns = now_ns + timeout * NS_PER_US;
    link_in(l, item);
    return MD_OK;
}

md_lane_item *md_lane_expire(md_lane *l, int64_t now_ns)
{
    md_lane_item *next;

    for (md_lane_item *i = l->first; i; i = next) {
        next = i->next;
        if (i->due_ns > now_ns)
            continue;
        link_out(l, i);
        if (!md_config_queue_of(&l->policy, i->level)->delay)
            return i;
        i->late = true;
        i->due_ns = INT64_MAX;
        link_in(l, i);
    }
    return NULL;
}

/* Rows of the batch that begins with the first call, at most `most`. */
static int64_t count_rows(const md_lane *l, int64_t most, bool *left_out)
{
    int64_t rows = 0;

    *left_out = false;
    for (const md_lane_item *i = l->first; i; i = i->next) {
        if (i->signature != l->first->signature) {
            if (l->policy.preserve_ordering)
                break;
            continue;
        }
        if (rows && rows + i->rows > most) {
            *left_out = true;
            break;
        }
        rows += i->rows;
    }
    return rows;
}

/* The largest preferred size that is there, or 0. */
static int64_t preferred(const md_lane *l, int64_t rows)
{
    int64_t best = 0;

    for (uint32_t i = 0; i < l->policy.preferred.n; i++)
        if (l->policy.preferred.v[i] <= rows && l->policy.preferred.v[i] > best)
            best = l->policy.preferred.v[i];
    return best;
}

static int64_t first_due(const md_lane *l)
{
    int64_t due = INT64_MAX;

    for (const md_lane_item *i = l->first; i; i = i->next)
        if (i->due_ns < due)
            due = i->due_ns;
    return due;
}

md_lane_plan md_lane_look(const md_lane *l, int64_t now_ns, bool draining)
{
    md_lane_plan p = { .due_ns = INT64_MAX };
    bool full = false;
    int64_t until;

    if (!l->first)
        return p;
    p.due_ns = first_due(l);
    if (l->n_instances > 0 && l->n_running >= l->n_instances)
        return p;
    if (!l->policy.on) {
        p.ready = p.urgent = true;
        p.rows = l->first->rows;
        return p;
    }
    p.rows = count_rows(l, l->rows_max, &full);
    full = full || p.rows >= l->rows_max;
    if (!full && preferred(l, p.rows) > 0) {
        p.rows = preferred(l, p.rows);
        full = true;
    }
    until = l->first->joined_ns + l->policy.delay_us * NS_PER_US;
    p.ready = full || draining || now_ns >= until;
    p.urgent = full || now_ns >= until + PATIENCE_NS;
    if (!p.ready && until < p.due_ns)
        p.due_ns = until;
    return p;
}

md_lane_item *md_lane_take(md_lane *l, const md_lane_plan *plan)
{
    const uint64_t signature = l->first->signature;
    md_lane_item *batch = NULL;
    md_lane_item **tail = &batch;
    int64_t rows = 0;
    md_lane_item *next;

    for (md_lane_item *i = l->first; i && rows < plan->rows; i = next) {
        next = i->next;
        if (i->signature != signature) {
            if (l->policy.preserve_ordering)
                break;
            continue;
        }
        if (rows && rows + i->rows > plan->rows)
            break;
        rows += i->rows;
        link_out(l, i);
        *tail = i;
        tail = &i->next;
        if (!l->policy.on)
            break;
    }
    l->n_running++;
    return batch;
}

void md_lane_done(md_lane *l)
{
    l->n_running--;
}
