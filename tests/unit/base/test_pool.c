#include "support/test.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pool.h"

enum {
    N_CHUNKS = 1000,
    N_CALLERS = 4,
    N_RUNS = 2000
};

/* What one run saw; plain members, so TSan finds a missing order. */
typedef struct record {
    int n_calls[N_CHUNKS];
    int64_t sum_by_worker[MD_POOL_WIDTH_MAX];
    _Atomic int n_inside[MD_POOL_WIDTH_MAX];
    _Atomic int n_clashes;
    int width;
} record;

static void note(void *ctx, int64_t chunk, int worker)
{
    record *r = ctx;

    if (worker < 0 || worker >= r->width ||
        atomic_fetch_add(&r->n_inside[worker], 1) != 0)
        atomic_fetch_add(&r->n_clashes, 1);
    r->n_calls[chunk]++;
    r->sum_by_worker[worker] += chunk;
    atomic_fetch_sub(&r->n_inside[worker], 1);
}

static md_pool *new_pool(int n)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    assert_md_ok(md_pool_new(&pool, n, md_alloc_default(), &err), &err);
    assert_non_null(pool);
    return pool;
}

/* Every chunk once, no worker index used by two threads at a time. */
static int run_is_right(md_pool *pool, int width, int n)
{
    record r;
    int64_t sum = 0;

    memset(&r, 0, sizeof(r));
    r.width = width;
    md_pool_run(pool, width, n, note, &r);
    if (atomic_load(&r.n_clashes) != 0)
        return 0;
    for (int i = 0; i < N_CHUNKS; i++) {
        if (r.n_calls[i] != (i < n))
            return 0;
    }
    for (int w = 0; w < MD_POOL_WIDTH_MAX; w++)
        sum += r.sum_by_worker[w];
    return sum == (int64_t)n * (n - 1) / 2;
}

static void test_pool__every_chunk_once(void **state)
{
    static const int widths[] = { 1, 2, 3, 4, 8, 100 };
    static const int ns[] = { 0, 1, 2, 3, 7, 64, N_CHUNKS };

    (void)state;
    for (int n_threads = 1; n_threads <= 5; n_threads++) {
        md_pool *pool = new_pool(n_threads);

        assert_int_equal(md_pool_width(pool), n_threads);
        for (size_t w = 0; w < MD_COUNT(widths); w++) {
            for (size_t n = 0; n < MD_COUNT(ns); n++)
                assert_true(run_is_right(pool, widths[w], ns[n]));
        }
        md_pool_free(pool);
    }
}

static void test_pool__no_pool_is_a_loop(void **state)
{
    (void)state;
    assert_int_equal(md_pool_width(NULL), 1);
    assert_true(run_is_right(NULL, 4, 10));
    md_pool_free(NULL);
}

static void test_pool__refuses_bad_width(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_fails(md_pool_new(&pool, -1, md_alloc_default(), &err),
                    MD_INVALID, &err, "-1 threads, expected 1 to 256");
    assert_md_fails(md_pool_new(&pool, 257, md_alloc_default(), &err),
                    MD_INVALID, &err, "257 threads");
    assert_null(pool);
}

static void *fail_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    return NULL;
}

static void test_pool__out_of_memory(void **state)
{
    const md_alloc none = { .alloc = fail_alloc };
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_fails(md_pool_new(&pool, 2, &none, &err), MD_NOMEM, &err,
                    "memory");
    assert_null(pool);
}

static void wait_for_both(void *ctx, int64_t chunk, int worker)
{
    _Atomic int *n = ctx;

    (void)chunk;
    (void)worker;
    atomic_fetch_add(n, 1);
    while (atomic_load(n) < 2) {
    }
}

/* Two chunks that each wait for the other end only on two threads. */
static void test_pool__runs_in_parallel(void **state)
{
    md_pool *pool = new_pool(2);

    (void)state;
    for (int i = 0; i < 20; i++) {
        _Atomic int n = 0;
        const struct timespec nap = { 0, 1000000 };

        md_pool_run(pool, 2, 2, wait_for_both, &n);
        assert_int_equal(atomic_load(&n), 2);
        if (i % 2) /* also from sleep */
            nanosleep(&nap, NULL);
    }
    md_pool_free(pool);
}

typedef struct slow {
    _Atomic int n_late;
} slow;

static void sleep_in_worker(void *ctx, int64_t chunk, int worker)
{
    slow *s = ctx;
    const struct timespec nap = { 0, 3000000 };

    (void)chunk;
    (void)worker;
    nanosleep(&nap, NULL);
    atomic_fetch_add(&s->n_late, 1);
}

/* Chunks so long that callers stop spinning and sleep too. */
static void test_pool__waits_for_long_chunks(void **state)
{
    md_pool *pool = new_pool(3);

    (void)state;
    for (int i = 0; i < 10; i++) {
        slow s = { 0 };

        md_pool_run(pool, 3, 4, sleep_in_worker, &s);
        assert_int_equal(atomic_load(&s.n_late), 4);
    }
    md_pool_free(pool);
}

typedef struct caller {
    md_pool *pool;
    int seed;
    int n_wrong;
} caller;

static void *call_often(void *arg)
{
    caller *c = arg;

    for (int i = 0; i < N_RUNS; i++) {
        int width = 1 + (i + c->seed) % 5;

        if (!run_is_right(c->pool, width, (i * 7 + c->seed) % 40))
            c->n_wrong++;
    }
    return NULL;
}

static void test_pool__many_callers(void **state)
{
    md_pool *pool = new_pool(3);
    caller callers[N_CALLERS];
    pthread_t threads[N_CALLERS];

    (void)state;
    for (int i = 0; i < N_CALLERS; i++) {
        callers[i] = (caller){ pool, i * 13, 0 };
        assert_int_equal(
            pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].n_wrong, 0);
    }
    md_pool_free(pool);
}

typedef struct nested {
    md_pool *pool;
    _Atomic int n;
} nested;

static void count_one(void *ctx, int64_t chunk, int worker)
{
    (void)chunk;
    (void)worker;
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void run_inner(void *ctx, int64_t chunk, int worker)
{
    nested *n = ctx;

    (void)chunk;
    (void)worker;
    md_pool_run(n->pool, 4, 10, count_one, &n->n);
}

static void test_pool__a_chunk_may_run_the_pool(void **state)
{
    nested n = { new_pool(4), 0 };

    (void)state;
    md_pool_run(n.pool, 4, 20, run_inner, &n);
    assert_int_equal(atomic_load(&n.n), 200);
    md_pool_free(n.pool);
}

static double cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* Workers that kept spinning would burn 3 x 200 ms here. */
static void test_pool__idle_costs_nothing(void **state)
{
    md_pool *pool = new_pool(4);
    const struct timespec nap = { 0, 200000000 };
    double before;

    (void)state;
    assert_true(run_is_right(pool, 4, 100));
    before = cpu_ms();
    nanosleep(&nap, NULL);
    assert_true(cpu_ms() - before < 50);
    md_pool_free(pool);
}

/* --- threads as the system sees them --- */

enum {
    TASKS_MAX = 64
};

typedef struct task {
    char state;
    unsigned long ticks; /* of CPU time */
} task;

/* The threads of this process but its first; how many. */
static int read_tasks(task out[TASKS_MAX])
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *e;
    int n = 0;

    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[300], text[512];
        unsigned long user = 0, sys = 0;
        const char *p;
        FILE *f;

        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/stat", e->d_name);
        f = fopen(path, "re");
        if (!f)
            continue;
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        p = strrchr(text, ')'); /* fields from the third on: state ... */
        if (!p)
            continue; /* it ended while we opened it */
        assert_true(n < TASKS_MAX);
        out[n].state = p[2];
        assert_int_equal(sscanf(p + 3,
                                "%*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                                "%lu %lu",
                                &user, &sys),
                         2);
        out[n++].ticks = user + sys;
    }
    closedir(d);
    return n;
}

static void nap_ms(int ms)
{
    const struct timespec nap = { ms / 1000, ms % 1000 * 1000000L };

    nanosleep(&nap, NULL);
}

/* A thread that was joined is listed a moment longer: wait until n are; false
 * after two seconds. */
static bool wait_for_tasks(int n)
{
    task tasks[TASKS_MAX];

    for (int tries = 0; tries < 200; tries++) {
        if (read_tasks(tasks) == n)
            return true;
        nap_ms(10);
    }
    return false;
}

/* Threads that are there without a pool: a sanitizer's.  Those of the test
 * before have gone when the number stays. */
static int count_others(void)
{
    task tasks[TASKS_MAX];
    int n = read_tasks(tasks), same = 0;

    while (same < 5) {
        int last = n;

        nap_ms(5);
        n = read_tasks(tasks);
        same = n == last ? same + 1 : 0;
    }
    return n;
}

/* Wait until all other threads sleep; false after two seconds. */
static bool all_asleep(int *n)
{
    for (int tries = 0; tries < 200; tries++) {
        task tasks[TASKS_MAX];
        bool asleep = true;

        nap_ms(10);
        *n = read_tasks(tasks);
        for (int i = 0; i < *n; i++)
            asleep &= tasks[i].state == 'S';
        if (asleep)
            return true;
    }
    return false;
}

/* After work, and before any, every worker sleeps and is given no tick. */
static void test_pool__workers_sleep(void **state)
{
    task before[TASKS_MAX], after[TASKS_MAX];
    int n_old = count_others();
    md_pool *pool = new_pool(5);

    (void)state;
    for (int worked = 0; worked < 2; worked++) {
        int n = 0;

        assert_true(all_asleep(&n));
        assert_int_equal(n, n_old + 4);
        read_tasks(before);
        nap_ms(100);
        assert_int_equal(read_tasks(after), n);
        for (int i = 0; i < n; i++) {
            assert_int_equal(after[i].state, 'S');
            assert_true(after[i].ticks == before[i].ticks);
        }
        for (int i = 0; i < 200; i++)
            assert_true(run_is_right(pool, 5, 100));
    }
    md_pool_free(pool);
    assert_true(wait_for_tasks(n_old));
}

static void test_pool__threads_end_with_it(void **state)
{
    int n_old = count_others();

    (void)state;
    for (int i = 0; i < 50; i++) {
        md_pool *pool = new_pool(1 + i % 6);

        assert_true(wait_for_tasks(n_old + i % 6));
        if (i % 2)
            assert_true(run_is_right(pool, 6, i));
        md_pool_free(pool);
        assert_true(wait_for_tasks(n_old));
    }
}

/* No width and no chunks: the caller alone, or nobody. */
static void test_pool__strange_widths(void **state)
{
    static const int widths[] = { 0, 1, -1, INT_MIN };
    md_pool *pool = new_pool(3);

    (void)state;
    for (size_t i = 0; i < MD_COUNT(widths); i++) {
        record r;

        memset(&r, 0, sizeof(r));
        r.width = 1; /* any other worker would be a clash */
        md_pool_run(pool, widths[i], 50, note, &r);
        assert_int_equal(atomic_load(&r.n_clashes), 0);
        assert_int_equal(r.sum_by_worker[0], 50 * 49 / 2);
        md_pool_run(pool, widths[i], 0, note, NULL);
        md_pool_run(pool, widths[i], -5, note, NULL);
    }
    md_pool_run(pool, 3, 0, note, NULL);
    md_pool_run(pool, 3, -1, note, NULL);
    md_pool_run(pool, 3, INT64_MIN, note, NULL);
    md_pool_free(pool);
}

/* The worker's number is below the chunks' too: scratch for min(width, n). */
static void test_pool__no_more_workers_than_chunks(void **state)
{
    md_pool *pool = new_pool(6);

    (void)state;
    for (int n = 1; n <= 6; n++) {
        for (int i = 0; i < 200; i++) {
            record r;

            memset(&r, 0, sizeof(r));
            r.width = n;
            md_pool_run(pool, 6, n, note, &r);
            assert_int_equal(atomic_load(&r.n_clashes), 0);
        }
    }
    md_pool_free(pool);
}

typedef struct slow_first {
    _Atomic int n_done;
    bool in_time;
} slow_first;

static void wait_for_the_rest(void *ctx, int64_t chunk, int worker)
{
    slow_first *s = ctx;
    int64_t until = md_clock_ns() + 5000000000;

    (void)worker;
    if (chunk > 0) {
        atomic_fetch_add(&s->n_done, 1);
        return;
    }
    while (atomic_load(&s->n_done) < 99 && md_clock_ns() < until)
        sched_yield();
    s->in_time = atomic_load(&s->n_done) == 99;
}

/* Chunks are not dealt out in advance: a core that is held up in the first
 * one leaves all the others to the rest. */
static void test_pool__chunks_are_claimed_one_by_one(void **state)
{
    md_pool *pool = new_pool(2);

    (void)state;
    for (int i = 0; i < 20; i++) {
        slow_first s = { 0, false };

        md_pool_run(pool, 2, 100, wait_for_the_rest, &s);
        assert_true(s.in_time);
    }
    md_pool_free(pool);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* In a process of its own, with memory for a few stacks only. */
static int start_too_many(void)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;
    unsigned long pages = 0;
    struct rlimit limit;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f || fscanf(f, "%lu", &pages) != 1)
        return 1;
    fclose(f);
    limit.rlim_cur = limit.rlim_max = pages * 4096 + ((rlim_t)96 << 20);
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 2;
    if (md_pool_new(&pool, MD_POOL_WIDTH_MAX, md_alloc_default(), &err) !=
        MD_UNAVAILABLE)
        return 3;
    if (!strstr(err.msg, " of the pool: ") ||
        strncmp(err.msg, "thread ", 7) != 0)
        return 4;
    if (atoi(err.msg + 7) < 1 || pool)
        return 5;
    return wait_for_tasks(0) ? 0 : 6; /* those that began have ended */
}

static void test_pool__a_thread_that_cannot_start(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(start_too_many());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

static _Atomic int n_blocked;

static void ask_mask(void *ctx, int64_t chunk, int worker)
{
    sigset_t set;
    const struct timespec nap = { 0, 2000000 };

    (void)ctx;
    (void)chunk;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    if (worker > 0 && sigismember(&set, SIGTERM))
        atomic_fetch_add(&n_blocked, 1);
    nanosleep(&nap, NULL);
}

static void test_pool__workers_block_signals(void **state)
{
    md_pool *pool = new_pool(2);
    sigset_t set;

    (void)state;
    md_pool_run(pool, 2, 8, ask_mask, NULL);
    assert_true(atomic_load(&n_blocked) > 0);
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    assert_false(sigismember(&set, SIGTERM));
    md_pool_free(pool);
}

/* More threads than there are parts to begin with, and chunks fewer, as many
 * and more than either. */
static void test_pool__more_threads_than_parts(void **state)
{
    md_pool *pool = new_pool(20);

    (void)state;
    for (int width = 14; width <= 21; width++) {
        for (int n = 0; n < 70; n += n < 40 ? 1 : 7)
            assert_true(run_is_right(pool, width, n));
    }
    md_pool_free(pool);
}

/* Work for the time it takes: nobody is woken for it, and who is awake helps. */
static void test_pool__short_work_wakes_nobody(void **state)
{
    md_pool *pool = new_pool(4);
    int n_others = 0;

    (void)state;
    assert_true(all_asleep(&n_others));
    for (int i = 0; i < 100; i++) {
        record r;

        memset(&r, 0, sizeof(r));
        r.width = 4;
        md_pool_run_short(pool, 4, 100, note, &r);
        assert_int_equal(r.sum_by_worker[0], 100 * 99 / 2);
        assert_int_equal(atomic_load(&r.n_clashes), 0);
    }
    for (int i = 0; i < 2000; i++) {
        record r;

        assert_true(run_is_right(pool, 4, 8));
        memset(&r, 0, sizeof(r));
        r.width = 4;
        md_pool_run_short(pool, 1 + i % 6, i % 50, note, &r);
        assert_int_equal(atomic_load(&r.n_clashes), 0);
        for (int k = 0; k < i % 50; k++)
            assert_int_equal(r.n_calls[k], 1);
    }
    md_pool_run_short(NULL, 4, 0, note, NULL);
    md_pool_free(pool);
}

typedef struct meeting {
    _Atomic int n;
    _Atomic bool met;
} meeting;

/* Wait a moment for the other chunk. */
static void meet(void *ctx, int64_t chunk, int worker)
{
    meeting *m = ctx;
    int64_t until = md_clock_ns() + 1000000;

    (void)chunk;
    (void)worker;
    atomic_fetch_add(&m->n, 1);
    while (atomic_load(&m->n) < 2 && md_clock_ns() < until) {
    }
    if (atomic_load(&m->n) == 2)
        atomic_store(&m->met, true);
}

/* Whoever begins a stretch with much work finds workers awake a little later,
 * the last of them too; a machine that is busy with other things lets them come
 * late now and then. */
static void test_pool__a_stretch_wakes_workers(void **state)
{
    for (int n_threads = 2; n_threads <= 6; n_threads += 2) {
        md_pool *pool = new_pool(n_threads);
        meeting m = { 0, false };

        (void)state;
        for (int i = 0; i < 500 && !atomic_load(&m.met); i++) {
            int n_others = 0;

            assert_true(all_asleep(&n_others));
            md_pool_begin(pool, n_threads, INT64_MAX);
            for (int k = 0; k < 200 && !atomic_load(&m.met); k++) {
                atomic_store(&m.n, 0);
                md_pool_run_short(pool, 2, 2, meet, &m);
            }
            md_pool_end(pool);
        }
        assert_true(atomic_load(&m.met));
        md_pool_free(pool);
    }
}

/* Neither a stretch in which nothing happens nor what was woken for it keeps a
 * core busy. */
static void test_pool__a_stretch_costs_nothing(void **state)
{
    md_pool *pool = new_pool(4);
    double before;
    int n_others = 0;

    (void)state;
    before = cpu_ms();
    md_pool_begin(pool, 4, INT64_MAX);
    nap_ms(200);
    assert_true(all_asleep(&n_others));
    md_pool_end(pool);
    nap_ms(100);
    assert_true(cpu_ms() - before < 50);
    md_pool_begin(NULL, 4, INT64_MAX);
    md_pool_end(NULL);
    md_pool_free(pool);
}

/* Two callers at once have two of four threads each, three have one. */
static void test_pool__callers_share_evenly(void **state)
{
    static const int parts[] = { 4, 4, 2, 1, 1, 1 };
    md_pool *pool = new_pool(4);

    (void)state;
    for (int n = 0; n < 6; n++) {
        for (int i = 0; i < n; i++)
            md_pool_begin(pool, 4, 0);
        for (int i = 0; i < 200; i++) {
            record r;

            memset(&r, 0, sizeof(r));
            r.width = parts[n];
            md_pool_run(pool, 4, 64, note, &r);
            assert_int_equal(atomic_load(&r.n_clashes), 0);
        }
        for (int i = 0; i < n; i++)
            md_pool_end(pool);
    }
    assert_true(run_is_right(pool, 4, 64));
    md_pool_free(pool);
}

static void *call_in_stretches(void *arg)
{
    caller *c = arg;

    for (int i = 0; i < N_RUNS / 10; i++) {
        md_pool_begin(c->pool, 4, i % 3 * 200000);
        for (int k = 0; k < 5; k++) {
            int width = 1 + (i + k + c->seed) % 5;
            record r;

            if (!run_is_right(c->pool, width, (i * 7 + k + c->seed) % 40))
                c->n_wrong++;
            memset(&r, 0, sizeof(r));
            r.width = width;
            md_pool_run_short(c->pool, width, 30, note, &r);
            if (atomic_load(&r.n_clashes) != 0)
                c->n_wrong++;
        }
        md_pool_end(c->pool);
    }
    return NULL;
}

static void test_pool__stretches_of_many_callers(void **state)
{
    md_pool *pool = new_pool(4);
    caller callers[N_CALLERS];
    pthread_t threads[N_CALLERS];

    (void)state;
    for (int i = 0; i < N_CALLERS; i++) {
        callers[i] = (caller){ pool, i * 13, 0 };
        assert_int_equal(
            pthread_create(&threads[i], NULL, call_in_stretches, &callers[i]),
            0);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].n_wrong, 0);
    }
    md_pool_free(pool);
}

typedef struct seen {
    _Atomic int n_of[64];
    _Atomic int n_by[3];
    _Atomic bool wrong;
    int64_t after_ns;
} seen;

static void see(void *ctx, int thread, int64_t chunk, int64_t start_ns,
                int64_t end_ns)
{
    seen *s = ctx;

    if (thread < 0 || thread > 2 || chunk < 0 || chunk > 63 ||
        start_ns < s->after_ns || end_ns < start_ns) {
        s->wrong = true;
        return;
    }
    atomic_fetch_add(&s->n_of[chunk], 1);
    atomic_fetch_add(&s->n_by[thread], 1);
}

/* A watch is told of every chunk, by whom and when, whatever the width; then
 * of none any more. */
static void test_pool__tells_who_watches(void **state)
{
    static const int widths[] = { INT_MIN, 0, 1, 2, 3, 9 };
    md_pool *pool = new_pool(3);
    seen s = { .wrong = false };
    const md_pool_watch w = { see, &s };
    int n = 0;

    (void)state;
    s.after_ns = md_clock_ns();
    md_pool_set_watch(pool, &w);
    for (size_t i = 0; i < MD_COUNT(widths); i++) {
        _Atomic int ran = 0;

        md_pool_run(pool, widths[i], 64, count_one, &ran);
        assert_int_equal(atomic_load(&ran), 64);
        n++;
        if (widths[i] <= 1)
            assert_int_equal(atomic_load(&s.n_by[0]), 64 * n);
    }
    md_pool_set_watch(pool, NULL);
    assert_true(run_is_right(pool, 3, 64));
    assert_false(s.wrong);
    for (int i = 0; i < 64; i++)
        assert_int_equal(atomic_load(&s.n_of[i]), n);
    assert_int_equal(atomic_load(&s.n_by[0]) + atomic_load(&s.n_by[1]) +
                         atomic_load(&s.n_by[2]),
                     64 * n);
    md_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__every_chunk_once),
        cmocka_unit_test(test_pool__no_pool_is_a_loop),
        cmocka_unit_test(test_pool__refuses_bad_width),
        cmocka_unit_test(test_pool__out_of_memory),
        cmocka_unit_test(test_pool__runs_in_parallel),
        cmocka_unit_test(test_pool__waits_for_long_chunks),
        cmocka_unit_test(test_pool__many_callers),
        cmocka_unit_test(test_pool__a_chunk_may_run_the_pool),
        cmocka_unit_test(test_pool__idle_costs_nothing),
        cmocka_unit_test(test_pool__workers_sleep),
        cmocka_unit_test(test_pool__threads_end_with_it),
        cmocka_unit_test(test_pool__strange_widths),
        cmocka_unit_test(test_pool__no_more_workers_than_chunks),
        cmocka_unit_test(test_pool__chunks_are_claimed_one_by_one),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_pool__a_thread_that_cannot_start),
#endif
        cmocka_unit_test(test_pool__workers_block_signals),
        cmocka_unit_test(test_pool__tells_who_watches),
        cmocka_unit_test(test_pool__more_threads_than_parts),
        cmocka_unit_test(test_pool__short_work_wakes_nobody),
        cmocka_unit_test(test_pool__a_stretch_wakes_workers),
        cmocka_unit_test(test_pool__a_stretch_costs_nothing),
        cmocka_unit_test(test_pool__callers_share_evenly),
        cmocka_unit_test(test_pool__stretches_of_many_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
