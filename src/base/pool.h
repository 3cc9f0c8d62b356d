/*
 * The thread pool: one per process, made by the program and passed down.
 *
 * A run is n_chunks calls of one function, claimed one by one by the caller
 * and the workers that joined it, so a core that is taken away by another
 * process costs one chunk and not the run.  A worker spins for at most 20
 * microseconds after a job, then sleeps: no thread is busy when nothing runs.
 * Waking one up takes the waker some microseconds, and 35 until it is there;
 * so a caller that has many runs ahead announces them (md_pool_begin), and
 * workers then spin up to 100 from one to the next.  They stop at once where
 * another process wants the core, and do not where a quota counts the time.
 *
 * Any number of threads may call md_pool_run at once.  Each takes the workers
 * that are idle at that moment, those in stretches no more than their part;
 * with none left it does all chunks itself.
 */
#ifndef MD_BASE_POOL_H
#define MD_BASE_POOL_H

#include <stdint.h>

#include "base/alloc.h"

enum {
    MD_POOL_WIDTH_MAX = 256
};

typedef struct md_pool md_pool;

/*
 * One chunk.  `worker` is in [0, width) and differs between calls that
 * overlap in one run, so it may choose scratch memory of that run; 0 is the
 * caller of md_pool_run.
 */
typedef void md_pool_fn(void *ctx, int64_t chunk, int worker);

/*
 * A pool of n_threads (1..MD_POOL_WIDTH_MAX; 0: as many as md_cpu_count)
 * counting the caller, so n_threads - 1 are started.  Signals stay blocked in
 * them.  MD_INVALID, MD_NOMEM, or MD_UNAVAILABLE when a thread cannot start.
 */
md_status md_pool_new(md_pool **out, int n_threads, const md_alloc *alloc,
                      md_error *err);

/* Stop and join the workers; no run may be in progress.  NULL is allowed. */
void md_pool_free(md_pool *pool);

/* Threads that one run can have, its caller included; 1 for NULL. */
int md_pool_width(const md_pool *pool);

/*
 * Call fn(ctx, chunk, worker) once for each chunk in [0, n_chunks), on at
 * most `width` threads, and return when all are done; their writes are then
 * visible to the caller.  Allocates nothing and cannot fail.  One chunk, a
 * width of 1 or no pool means a plain loop.
 */
void md_pool_run(md_pool *pool, int width, int64_t n_chunks, md_pool_fn *fn,
                 void *ctx);

/* The same for work so short that it is over before a sleeping worker would be
 * there: some ten microseconds.  Only workers that are awake, or were woken a
 * moment ago, take part. */
void md_pool_run_short(md_pool *pool, int width, int64_t n_chunks,
                       md_pool_fn *fn, void *ctx);

/*
 * A stretch of runs by this thread, until md_pool_end: workers stay awake in
 * between, and several callers in stretches share them evenly.  work_ns tells
 * how long all that can be shared takes one thread, as far as is known.  Where
 * that is worth it, as many workers as `width` threads need are woken at once;
 * else they are when a run needs them.  The pool may be NULL.
 */
void md_pool_begin(md_pool *pool, int width, int64_t work_ns);
void md_pool_end(md_pool *pool);

/* Told of each chunk when it is done, on the thread that ran it and by several
 * at once: 0 is whoever called md_pool_run from outside, the others are the
 * workers, 1 to width - 1.  Times are md_clock_ns's. */
typedef struct md_pool_watch {
    void (*chunk)(void *ctx, int thread, int64_t chunk, int64_t start_ns,
                  int64_t end_ns);
    void *ctx;
} md_pool_watch;

/* Let w, the caller's, be told from now on (NULL: nobody); no run may be in
 * progress. */
void md_pool_set_watch(md_pool *pool, const md_pool_watch *w);

#endif
