#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

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
        cmocka_unit_test(test_pool__workers_block_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
