#include "serve/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/clock.h"

struct md_queue {
    const md_alloc *alloc;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void **ring;
    uint32_t cap;
    uint32_t limit;
    uint32_t head;
    uint32_t n_ring;
    uint32_t idle;  /* workers that wait */
    md_lane *lanes; /* where something waits; the next one to look at first */
    bool closed;
    _Atomic uint32_t n; /* ring and lanes; written under the lock */
};

md_status md_queue_new(md_queue **out, uint32_t limit, uint32_t n_workers,
                       const md_alloc *alloc, md_error *err)
{
    md_queue *q = md_calloc(alloc, 1, sizeof(*q));
    pthread_condattr_t attr;

    if (!q)
        return md_fail_nomem(err, sizeof(*q));
    q->alloc = alloc;
    q->limit = limit;
    q->cap = limit + n_workers;
    q->ring = md_calloc(alloc, q->cap, sizeof(*q->ring));
    if (!q->ring) {
        md_free(alloc, q);
        return md_fail_nomem(err, sizeof(*q->ring));
    }
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    *out = q;
    return MD_OK;
}

void md_queue_free(md_queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    md_free(q->alloc, q->ring);
    md_free(q->alloc, q);
}

md_status md_queue_push(md_queue *q, void *item, md_error *err)
{
    md_status s = MD_OK;
    uint32_t n;

    pthread_mutex_lock(&q->lock);
    n = atomic_load(&q->n);
    if (q->closed) {
        s = md_fail(err, MD_UNAVAILABLE, "server is shutting down");
    } else if (n >= q->limit + q->idle || q->n_ring == q->cap) {
        s = md_fail(err, MD_BUSY,
                    "server is overloaded: %u requests wait, at most %u may", n,
                    q->limit);
    } else {
        q->ring[(q->head + q->n_ring++) % q->cap] = item;
        atomic_store(&q->n, n + 1);
        pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return s;
}

/* ---- lanes; under the lock ---- */

static void list_lane(md_queue *q, md_lane *l)
{
    if (l->n != 1)
        return; /* it is listed: it was not empty */
    if (!q->lanes) {
        l->prev = l->next = l;
        q->lanes = l;
        return;
    }
    l->next = q->lanes;
    l->prev = q->lanes->prev;
    l->prev->next = l;
    l->next->prev = l;
}

/* Items have been taken out of a lane. */
static void unlist_lane(md_queue *q, md_lane *l, uint32_t n_taken)
{
    atomic_store(&q->n, atomic_load(&q->n) - n_taken);
    if (q->lanes == l)
        q->lanes = l->next; /* another one is first next time */
    if (l->n > 0)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    if (q->lanes == l)
        q->lanes = NULL;
    l->prev = l->next = NULL;
}

static bool take_expired(md_queue *q, md_lane *l, int64_t now, md_work *out)
{
    md_lane_item *item = md_lane_expire(l, now);

    if (!item)
        return false;
    *out = (md_work){ .lane = l, .expired = item };
    unlist_lane(q, l, 1);
    return true;
}

static void take_batch(md_queue *q, md_lane *l, const md_lane_plan *plan,
                       md_work *out)
{
    const uint32_t before = l->n;

    *out = (md_work){ .lane = l, .batch = md_lane_take(l, plan) };
    unlist_lane(q, l, before - l->n);
}

/* Look at every lane: take what is urgent, or what is ready when that will
 * do; *due is when to look again. */
static bool take_from_lanes(md_queue *q, bool urgent, int64_t *due,
                            md_work *out)
{
    md_lane *l = q->lanes;
    int64_t now;

    *due = INT64_MAX;
    if (!l)
        return false;
    now = md_clock_ns();
    do {
        md_lane_plan p;

        if (take_expired(q, l, now, out))
            return true;
        p = md_lane_look(l, now, q->closed);
        if (p.ready && (p.urgent || !urgent)) {
            take_batch(q, l, &p, out);
            return true;
        }
        *due = p.due_ns < *due ? p.due_ns : *due;
        l = l->next;
    } while (l != q->lanes);
    return false;
}

static bool take_new(md_queue *q, md_work *out)
{
    if (q->n_ring == 0)
        return false;
    *out = (md_work){ .item = q->ring[q->head] };
    q->head = (q->head + 1) % q->cap;
    q->n_ring--;
    atomic_store(&q->n, atomic_load(&q->n) - 1);
    return true;
}

/* Until something changes or it is due. */
static void wait_until(md_queue *q, int64_t due)
{
    const struct timespec until = { .tv_sec = due / 1000000000,
                                    .tv_nsec = due % 1000000000 };

    q->idle++;
    if (due == INT64_MAX)
        pthread_cond_wait(&q->changed, &q->lock);
    else
        (void)pthread_cond_timedwait(&q->changed, &q->lock, &until);
    q->idle--;
}

bool md_queue_take(md_queue *q, md_work *out)
{
    bool taken = false;

    pthread_mutex_lock(&q->lock);
    for (;;) {
        int64_t due;

        taken = take_from_lanes(q, true, &due, out) || take_new(q, out) ||
                take_from_lanes(q, false, &due, out);
        if (taken || (q->closed && atomic_load(&q->n) == 0))
            break;
        wait_until(q, due);
    }
    /* Whoever waits now may have to look after the lanes. */
    if (q->idle > 0 && (q->lanes || !taken))
        pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return taken;
}

md_status md_queue_join(md_queue *q, md_lane *lane, md_lane_item *item,
                        md_error *err)
{
    md_status s;

    pthread_mutex_lock(&q->lock);
    s = md_lane_join(lane, item, md_clock_ns(), err);
    if (s == MD_OK) {
        list_lane(q, lane);
        atomic_store(&q->n, atomic_load(&q->n) + 1);
    }
    pthread_mutex_unlock(&q->lock);
    return s;
}

void md_queue_done(md_queue *q, md_lane *lane)
{
    pthread_mutex_lock(&q->lock);
    md_lane_done(lane);
    if (lane->n > 0 && q->idle > 0)
        pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void md_queue_close(md_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

uint32_t md_queue_depth(const md_queue *q)
{
    return atomic_load(&q->n);
}

uint32_t md_queue_limit(const md_queue *q)
{
    return q->limit;
}
