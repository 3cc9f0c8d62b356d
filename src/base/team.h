/*
 * Threads that take many short steps together: a job of n_stages stages of
 * n_parts parts each, where a stage needs all of the one before.
 *
 * For loops whose steps take a microsecond or two, as those of a recurrent
 * net: handing each over by md_pool_run would take as long.  A team is instead
 * given to the chunks of one run of the pool, each of which calls md_team_work.
 * Nothing depends on how many of them are there, or when: each takes parts that
 * nobody has taken yet, so that one thread does all of them where it is alone,
 * and who comes late, or to a job that is done, is of no harm.  In between they
 * spin, and yield where that takes long.
 */
#ifndef MD_BASE_TEAM_H
#define MD_BASE_TEAM_H

#include <stddef.h>
#include <stdint.h>

typedef struct md_team md_team;

typedef void md_team_fn(void *ctx, int64_t stage, int part);

/* Bytes of a team, a multiple of a cache line; n_parts >= 1. */
size_t md_team_size(int n_parts);

/* Make `team`, md_team_size(n_parts) bytes on a cache line, ready for one job;
 * before any other thread sees it.  There is nothing to release. */
void md_team_init(md_team *team, int n_parts);

/*
 * Take part in the job of fn(ctx, stage, part) for all stages below n_stages,
 * beginning with part `home` of each, below n_parts: who comes back to the same
 * one finds its data in its cache.  Threads of a team differ in `home` and may
 * in ctx, in nothing else.  Returns when all is done; all writes of fn are then
 * visible.
 */
void md_team_work(md_team *team, int home, int64_t n_stages, md_team_fn *fn,
                  void *ctx);

#endif
