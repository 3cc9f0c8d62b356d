/*
 * Each worker has a mailbox that holds NULL (idle), a job, or one of two
 * marks.  A caller posts its job, which lives on its stack, by exchanging NULL
 * for the job; the worker takes it by exchanging the job for `busy`.  When no
 * chunk is left the caller takes back what no worker has taken, so a worker
 * that is slow to wake delays nobody, and waits for those that did join.
 *
 * A worker empties its mailbox before it reports to the job, because the
 * caller's next run, a moment later, should find it idle.  It looks into a
 * job only between taking it and reporting.
 */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"

enum {
    SPIN_NS = 20000,
    SPINS_PER_LOOK = 16, /* pauses between two looks at the clock */
    DONE_WAITS = 1,      /* bit of job.done: the caller sleeps */
    DONE_ONE = 2,        /* a worker that has left */
};

typedef struct job {
    /* A line of its own: every thread writes it for every chunk. */
    _Alignas(MD_CACHE_LINE) _Atomic int64_t next;
    _Alignas(MD_CACHE_LINE) md_pool_fn *fn;
    void *ctx;
    const md_pool *pool;
    int64_t n_chunks;
    _Atomic int n_joined;
    _Atomic unsigned done;
} job;

typedef struct worker {
    _Alignas(MD_CACHE_LINE) _Atomic(job *) mail;
    _Atomic bool asleep;
    md_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
} worker;

struct md_pool {
    const md_alloc *alloc;
    int n_workers;
    const md_pool_watch *watch; /* NULL: nobody */
    pthread_mutex_t lock;       /* for `left` */
    pthread_cond_t left;        /* a worker left a job whose caller sleeps */
    worker workers[];
};

/* Marks that are never the address of a job in a caller's frame. */
static job busy_mark, stop_mark;

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Workers are few, and this is only asked for who watches. */
static int this_thread(const md_pool *pool)
{
    for (int i = 0; i < pool->n_workers; i++) {
        if (pthread_equal(pool->workers[i].thread, pthread_self()))
            return i + 1;
    }
    return 0;
}

static void do_watched(const job *j, int64_t chunk, int index)
{
    const md_pool_watch *w = j->pool->watch;
    int64_t start = md_clock_ns();

    j->fn(j->ctx, chunk, index);
    w->chunk(w->ctx, this_thread(j->pool), chunk, start, md_clock_ns());
}

static void do_chunks(job *j, int index)
{
    int64_t i;

    if (j->pool->watch) {
        while ((i = atomic_fetch_add_explicit(
                    &j->next, 1, memory_order_relaxed)) < j->n_chunks)
            do_watched(j, i, index);
        return;
    }
    while ((i = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed)) <
           j->n_chunks)
        j->fn(j->ctx, i, index);
}

static void join_job(worker *self, job *j)
{
    md_pool *pool = self->pool;
    int index =
        1 + atomic_fetch_add_explicit(&j->n_joined, 1, memory_order_relaxed);
    unsigned had;

    do_chunks(j, index);
    atomic_store_explicit(&self->mail, NULL, memory_order_release);
    had = atomic_fetch_add_explicit(&j->done, DONE_ONE, memory_order_acq_rel);
    /* j may be gone from here on. */
    if (had & DONE_WAITS) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->left);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Spin for mail; NULL when none came in time. */
static job *spin_for_mail(worker *self)
{
    int64_t until = md_clock_ns() + SPIN_NS;
    job *j;

    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            j = atomic_load_explicit(&self->mail, memory_order_acquire);
            if (j)
                return j;
            pause_cpu();
        }
    } while (md_clock_ns() < until);
    return NULL;
}

static job *sleep_for_mail(worker *self)
{
    job *j;

    pthread_mutex_lock(&self->lock);
    /* A poster stores mail, then reads asleep; we do it the other way round.
     * Sequential consistency makes at least one side see the other. */
    atomic_store(&self->asleep, true);
    while (!(j = atomic_load(&self->mail)))
        pthread_cond_wait(&self->wake, &self->lock);
    atomic_store(&self->asleep, false);
    pthread_mutex_unlock(&self->lock);
    return j;
}

static void wake(worker *w)
{
    if (!atomic_load(&w->asleep))
        return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void work(worker *self)
{
    for (;;) {
        job *j = spin_for_mail(self);

        if (!j)
            j = sleep_for_mail(self);
        if (j == &stop_mark)
            return;
        if (atomic_compare_exchange_strong(&self->mail, &j, &busy_mark))
            join_job(self, j);
    }
}

/* Post j to up to `want` idle workers; *n_posted of them got it, all before
 * the returned index. */
static int post(md_pool *pool, job *j, int want, int *n_posted)
{
    int i;

    *n_posted = 0;
    for (i = 0; i < pool->n_workers && *n_posted < want; i++) {
        worker *w = &pool->workers[i];
        job *idle = NULL;

        if (atomic_load_explicit(&w->mail, memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&w->mail, &idle, j))
            continue;
        ++*n_posted;
        wake(w);
    }
    return i;
}

/* Take j back from workers that have not begun; how many that were. */
static int revoke(md_pool *pool, job *j, int n_seen)
{
    int n = 0;

    for (int i = 0; i < n_seen; i++) {
        worker *w = &pool->workers[i];
        job *mine = j;

        if (atomic_load_explicit(&w->mail, memory_order_relaxed) == j &&
            atomic_compare_exchange_strong(&w->mail, &mine, NULL))
            n++;
    }
    return n;
}

static bool all_left(job *j, int n, memory_order order)
{
    return atomic_load_explicit(&j->done, order) / DONE_ONE == (unsigned)n;
}

/* Until n workers have left j: spin shortly, then sleep. */
static void wait_left(md_pool *pool, job *j, int n)
{
    int64_t until;

    if (all_left(j, n, memory_order_acquire))
        return;
    until = md_clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (all_left(j, n, memory_order_acquire))
                return;
            pause_cpu();
        }
    } while (md_clock_ns() < until);
    atomic_fetch_or(&j->done, DONE_WAITS);
    pthread_mutex_lock(&pool->lock);
    while (!all_left(j, n, memory_order_acquire))
        pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void md_pool_run(md_pool *pool, int width, int64_t n_chunks, md_pool_fn *fn,
                 void *ctx)
{
    job j;
    int n_posted, n_seen;

    if (width > n_chunks)
        width = (int)n_chunks;
    if (!pool || (!pool->watch && (width <= 1 || pool->n_workers == 0))) {
        for (int64_t i = 0; i < n_chunks; i++)
            fn(ctx, i, 0);
        return;
    }
    j.fn = fn;
    j.ctx = ctx;
    j.pool = pool;
    j.n_chunks = n_chunks;
    atomic_init(&j.next, 0);
    atomic_init(&j.done, 0);
    atomic_init(&j.n_joined, 0);
    n_seen = post(pool, &j, width > 1 ? width - 1 : 0, &n_posted);
    do_chunks(&j, 0);
    wait_left(pool, &j, n_posted - revoke(pool, &j, n_seen));
}

int md_pool_width(const md_pool *pool)
{
    return pool ? pool->n_workers + 1 : 1;
}

static void *thread_main(void *arg)
{
    work(arg);
    return NULL;
}

static md_status start_worker(md_pool *pool, md_error *err)
{
    worker *w = &pool->workers[pool->n_workers];
    int e;

    w->pool = pool;
    atomic_init(&w->mail, NULL);
    atomic_init(&w->asleep, false);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    e = pthread_create(&w->thread, NULL, thread_main, w);
    if (e) {
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        return md_fail(err, MD_UNAVAILABLE, "thread %d of the pool: %s",
                       pool->n_workers + 1, strerror(e));
    }
    pool->n_workers++;
    return MD_OK;
}

/* Signals are for the main thread: new threads inherit a full mask. */
static md_status start_workers(md_pool *pool, int n, md_error *err)
{
    sigset_t all, old;
    md_status s = MD_OK;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (s == MD_OK && pool->n_workers < n)
        s = start_worker(pool, err);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return s;
}

md_status md_pool_new(md_pool **out, int n_threads, const md_alloc *alloc,
                      md_error *err)
{
    size_t size;
    md_pool *pool;
    md_status s;

    if (n_threads == 0)
        n_threads = md_cpu_count();
    if (n_threads < 1 || n_threads > MD_POOL_WIDTH_MAX)
        return md_fail(err, MD_INVALID, "%d threads, expected 1 to %d",
                       n_threads, MD_POOL_WIDTH_MAX);
    size = sizeof(*pool) + sizeof(worker) * (size_t)(n_threads - 1);
    pool = md_malloc_aligned(alloc, size);
    if (!pool)
        return md_fail_nomem(err, size);
    pool->alloc = alloc;
    pool->n_workers = 0;
    pool->watch = NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->left, NULL);
    s = start_workers(pool, n_threads - 1, err);
    if (s != MD_OK) {
        md_pool_free(pool);
        return s;
    }
    *out = pool;
    return MD_OK;
}

void md_pool_set_watch(md_pool *pool, const md_pool_watch *w)
{
    pool->watch = w;
}

void md_pool_free(md_pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < pool->n_workers; i++) {
        atomic_store(&pool->workers[i].mail, &stop_mark);
        wake(&pool->workers[i]);
    }
    for (int i = 0; i < pool->n_workers; i++) {
        worker *w = &pool->workers[i];

        pthread_join(w->thread, NULL);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
    }
    pthread_cond_destroy(&pool->left);
    pthread_mutex_destroy(&pool->lock);
    md_free(pool->alloc, pool);
}
