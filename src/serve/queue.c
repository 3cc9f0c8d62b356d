#include "serve/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct md_queue {
    const md_alloc *alloc;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    void **ring;
    uint32_t cap;
    uint32_t limit;
    uint32_t head;
    uint32_t idle; /* workers that wait */
    bool closed;
    _Atomic uint32_t n; /* written under the lock, read anywhere */
};

md_status md_queue_new(md_queue **out, uint32_t limit, uint32_t n_workers,
                       const md_alloc *alloc, md_error *err)
{
    md_queue *q = md_calloc(alloc, 1, sizeof(*q));

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
    pthread_cond_init(&q->filled, NULL);
    *out = q;
    return MD_OK;
}

void md_queue_free(md_queue *q)
{
    if (!q)
        return;
    pthread_cond_destroy(&q->filled);
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
    } else if (n >= q->limit + q->idle) {
        s = md_fail(err, MD_BUSY,
                    "server is overloaded: %u requests wait, at most %u may", n,
                    q->limit);
    } else {
        q->ring[(q->head + n) % q->cap] = item;
        atomic_store(&q->n, n + 1);
        pthread_cond_signal(&q->filled);
    }
    pthread_mutex_unlock(&q->lock);
    return s;
}

void *md_queue_pop(md_queue *q)
{
    void *item = NULL;
    uint32_t n;

    pthread_mutex_lock(&q->lock);
    q->idle++;
    while ((n = atomic_load(&q->n)) == 0 && !q->closed)
        pthread_cond_wait(&q->filled, &q->lock);
    q->idle--;
    if (n > 0) {
        item = q->ring[q->head];
        q->head = (q->head + 1) % q->cap;
        atomic_store(&q->n, n - 1);
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void md_queue_close(md_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
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
