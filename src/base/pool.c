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
    PARTS_MAX = 16,  /* threads beyond share parts: all look at all of them */
    SPIN_NS = 20000, /* when nobody has announced more */
    SPIN_ACTIVE_NS = 100000, /* during a stretch: as long as two wakes take */
    SPINS_PER_LOOK = 16,     /* pauses between two looks at the clock */
    TAKEN_AWAY_NS = 20000,   /* between two looks: another one had this core */
    AHEAD_NS = 150000,       /* of work: worth to wake workers for it */
    AGAIN_NS = 5000,         /* the same where stretch follows on stretch */
    SOON_NS = 100000,        /* that is when one does */
    DONE_WAITS = 1,          /* bit of job.done: the caller sleeps */
    DONE_ONE = 2,            /* a worker that has left */
};

/* Chunks [.., end) of a job that one thread begins with, so that it meets data
 * that it had in its cache; whoever is done with his own takes from others. */
typedef struct part {
    /* A line of its own: who claims a chunk writes it. */
    _Alignas(MD_CACHE_LINE) _Atomic int64_t next;
    int64_t end;
} part;

typedef struct job {
    part parts[PARTS_MAX];
    _Alignas(MD_CACHE_LINE) md_pool_fn *fn;
    void *ctx;
    const md_pool *pool;
    int n_parts;
    _Atomic int n_joined;
    _Atomic unsigned done;
} job;

typedef struct worker {
    _Alignas(MD_CACHE_LINE) _Atomic(job *) mail;
    _Atomic bool asleep;
    bool called; /* to wake without mail; guarded by `lock` */
    int index;
    md_pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
} worker;

struct md_pool {
    const md_alloc *alloc;
    int n_workers;
    bool saves_time;            /* a quota counts what spinning takes */
    const md_pool_watch *watch; /* NULL: nobody */
    _Alignas(MD_CACHE_LINE) _Atomic int n_active; /* stretches */
    _Atomic int n_called;     /* workers of the tree that is being woken */
    _Atomic int64_t ended_ns; /* the last stretch */
    pthread_mutex_t lock;     /* for `left` */
    pthread_cond_t left;      /* a worker left a job whose caller sleeps */
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

/* The next chunk of a part, or -1. */
static int64_t claim(part *p)
{
    int64_t i = atomic_load_explicit(&p->next, memory_order_relaxed);

    if (i < p->end)
        i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    return i < p->end ? i : -1;
}

/* Thread `home` begins with its own part; `index` is for fn. */
static void do_chunks(job *j, int home, int index)
{
    for (int k = 0; k < j->n_parts; k++) {
        part *p = &j->parts[(home + k) % j->n_parts];
        int64_t i;

        if (j->pool->watch) {
            while ((i = claim(p)) >= 0)
                do_watched(j, i, index);
        } else {
            while ((i = claim(p)) >= 0)
                j->fn(j->ctx, i, index);
        }
    }
}

static void join_job(worker *self, job *j)
{
    md_pool *pool = self->pool;
    int index =
        1 + atomic_fetch_add_explicit(&j->n_joined, 1, memory_order_relaxed);
    unsigned had;

    do_chunks(j, self->index + 1, index);
    atomic_store_explicit(&self->mail, NULL, memory_order_release);
    had = atomic_fetch_add_explicit(&j->done, DONE_ONE, memory_order_acq_rel);
    /* j may be gone from here on. */
    if (had & DONE_WAITS) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->left);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* How long to spin at most. */
static int64_t spin_ns(const md_pool *pool)
{
    return pool->saves_time || atomic_load_explicit(&pool->n_active,
                                                    memory_order_relaxed) == 0
               ? SPIN_NS
               : SPIN_ACTIVE_NS;
}

/* A thread that spins, between two looks at the clock. */
typedef struct spin {
    int64_t start_ns, seen_ns;
} spin;

static spin spin_begin(void)
{
    int64_t now = md_clock_ns();

    return (spin){ now, now };
}

/* Is it worth to go on?  Not when somebody else wanted this core: they would
 * take it again when there is work. */
static bool spin_on(spin *s, const md_pool *pool)
{
    int64_t now = md_clock_ns(), gap = now - s->seen_ns;

    s->seen_ns = now;
    return gap <= TAKEN_AWAY_NS && now - s->start_ns < spin_ns(pool);
}

/* Spin for mail; NULL when none came in time. */
static job *spin_for_mail(worker *self)
{
    spin s = spin_begin();
    job *j;

    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            j = atomic_load_explicit(&self->mail, memory_order_acquire);
            if (j)
                return j;
            pause_cpu();
        }
    } while (spin_on(&s, self->pool));
    return NULL;
}

/* Sleep until there is mail, or until called: NULL. */
static job *sleep_for_mail(worker *self)
{
    job *j;

    pthread_mutex_lock(&self->lock);
    /* A poster stores mail, then reads asleep; we do it the other way round.
     * Sequential consistency makes at least one side see the other. */
    atomic_store(&self->asleep, true);
    while (!(j = atomic_load(&self->mail)) && !self->called)
        pthread_cond_wait(&self->wake, &self->lock);
    self->called = false;
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

/* Wake worker i of the tree without mail, it then spins for some; where it is
 * awake, those that it would call. */
static void call(md_pool *pool, int i)
{
    worker *w;

    if (i >= atomic_load_explicit(&pool->n_called, memory_order_relaxed))
        return;
    w = &pool->workers[i];
    if (!atomic_load(&w->asleep)) {
        call(pool, 2 * i + 1);
        call(pool, 2 * i + 2);
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->called = true;
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
        if (!j) { /* called: call two others, so that many are there soon */
            call(self->pool, 2 * self->index + 1);
            call(self->pool, 2 * self->index + 2);
        } else if (atomic_compare_exchange_strong(&self->mail, &j, &busy_mark))
            join_job(self, j);
    }
}

/* Post j to up to `want` idle workers; *n_posted of them got it, all before the
 * returned index.  `wakes`: wake those that sleep; else they find it only if
 * they were called and are on their way. */
static int post(md_pool *pool, job *j, int want, bool wakes, int *n_posted)
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
        if (wakes)
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
    spin s;

    if (all_left(j, n, memory_order_acquire))
        return;
    s = spin_begin();
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (all_left(j, n, memory_order_acquire))
                return;
            pause_cpu();
        }
    } while (spin_on(&s, pool));
    atomic_fetch_or(&j->done, DONE_WAITS);
    pthread_mutex_lock(&pool->lock);
    while (!all_left(j, n, memory_order_acquire))
        pthread_cond_wait(&pool->left, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Of `width` threads, those that are this caller's part when several run at
 * once; without the caller itself. */
static int helpers(md_pool *pool, int width)
{
    int n = atomic_load_explicit(&pool->n_active, memory_order_relaxed);
    int fair = n > 1 ? (pool->n_workers + 1) / n : width;

    width = width < fair ? width : fair;
    return width > 1 ? width - 1 : 0;
}

/* Parts for `width` threads, as long as each other. */
static void cut(job *j, int width, int64_t n_chunks)
{
    int64_t n = width < 1 ? 1 : width < PARTS_MAX ? width : PARTS_MAX;
    int64_t at = 0;

    for (int64_t i = 0; i < n; i++) {
        atomic_init(&j->parts[i].next, at);
        at += n_chunks / n + (i < n_chunks % n);
        j->parts[i].end = at;
    }
    j->n_parts = (int)n;
}

static void run_job(md_pool *pool, int width, int64_t n_chunks, bool wakes,
                    md_pool_fn *fn, void *ctx)
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
    cut(&j, width, n_chunks);
    atomic_init(&j.done, 0);
    atomic_init(&j.n_joined, 0);
    n_seen = post(pool, &j, helpers(pool, width), wakes, &n_posted);
    do_chunks(&j, 0, 0);
    wait_left(pool, &j, n_posted - revoke(pool, &j, n_seen));
}

void md_pool_run(md_pool *pool, int width, int64_t n_chunks, md_pool_fn *fn,
                 void *ctx)
{
    run_job(pool, width, n_chunks, true, fn, ctx);
}

void md_pool_run_short(md_pool *pool, int width, int64_t n_chunks,
                       md_pool_fn *fn, void *ctx)
{
    run_job(pool, width, n_chunks, false, fn, ctx);
}

/* Is it worth to wake workers for so much work?  When stretches follow on each
 * other they will still be awake for the next ones. */
static bool is_worth(const md_pool *pool, int64_t work_ns)
{
    int64_t ended_ns;

    if (work_ns >= AHEAD_NS)
        return true;
    if (work_ns < AGAIN_NS)
        return false;
    ended_ns = atomic_load_explicit(&pool->ended_ns, memory_order_relaxed);
    return md_clock_ns() - ended_ns < SOON_NS;
}

void md_pool_begin(md_pool *pool, int width, int64_t work_ns)
{
    int n;

    if (!pool || pool->n_workers == 0)
        return;
    atomic_fetch_add_explicit(&pool->n_active, 1, memory_order_relaxed);
    n = helpers(pool, width);
    n = n < pool->n_workers ? n : pool->n_workers;
    if (n == 0 || !is_worth(pool, work_ns))
        return;
    atomic_store_explicit(&pool->n_called, n, memory_order_relaxed);
    call(pool, 0);
}

void md_pool_end(md_pool *pool)
{
    if (!pool || pool->n_workers == 0)
        return;
    atomic_store_explicit(&pool->ended_ns, md_clock_ns(), memory_order_relaxed);
    atomic_fetch_sub_explicit(&pool->n_active, 1, memory_order_relaxed);
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
    w->index = pool->n_workers;
    w->called = false;
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
    pool->saves_time = md_cpu_has_quota();
    pool->watch = NULL;
    atomic_init(&pool->n_active, 0);
    atomic_init(&pool->n_called, 0);
    atomic_init(&pool->ended_ns, 0);
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
