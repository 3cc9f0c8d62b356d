#include "base/team.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/attr.h"

enum {
    /* Pauses, of which each takes 10 to 40 ns: as long as a step may well take.
     * Who waits longer may be on the core of whom it waits for. */
    SPINS = 1000
};

/* On a line of its own: its thread writes it in each stage. */
typedef struct part {
    _Alignas(MD_CACHE_LINE) _Atomic int64_t next; /* stage it is free for */
} part;

struct md_team {
    _Alignas(MD_CACHE_LINE) _Atomic int64_t stage;  /* whose parts are taken */
    _Alignas(MD_CACHE_LINE) _Atomic int64_t n_done; /* parts of all stages */
    int n_parts;
    part parts[];
};

size_t md_team_size(int n_parts)
{
    return sizeof(md_team) + (size_t)n_parts * sizeof(part);
}

void md_team_init(md_team *team, int n_parts)
{
    atomic_init(&team->stage, 0);
    atomic_init(&team->n_done, 0);
    team->n_parts = n_parts;
    for (int i = 0; i < n_parts; i++)
        atomic_init(&team->parts[i].next, 0);
}

/* A part of the stage that nobody has taken, or -1.  Of a stage that is over
 * by now there is none: its parts are free for later ones only. */
static int take(md_team *team, int home, int64_t stage)
{
    for (int k = 0; k < team->n_parts; k++) {
        const int i = (home + k) % team->n_parts;
        part *p = &team->parts[i];
        int64_t free_for = stage;

        if (atomic_load_explicit(&p->next, memory_order_relaxed) == stage &&
            atomic_compare_exchange_strong_explicit(
                &p->next, &free_for, stage + 1, memory_order_relaxed,
                memory_order_relaxed))
            return i;
    }
    return -1;
}

static void wait_for_next(md_team *team, int64_t stage)
{
    for (int n = 0;
         atomic_load_explicit(&team->stage, memory_order_acquire) == stage;
         n++) {
        if (n >= SPINS) {
            sched_yield();
            continue;
        }
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

void md_team_work(md_team *team, int home, int64_t n_stages, md_team_fn *fn,
                  void *ctx)
{
    int64_t stage;

    assert(home >= 0 && home < team->n_parts);
    while ((stage = atomic_load_explicit(&team->stage, memory_order_acquire)) <
           n_stages) {
        const int i = take(team, home, stage);

        if (i < 0) {
            wait_for_next(team, stage);
            continue;
        }
        fn(ctx, stage, i);
        /* Who is last has seen the writes of all others, and passes them on
         * with the next stage. */
        if (atomic_fetch_add_explicit(&team->n_done, 1, memory_order_acq_rel) +
                1 ==
            (stage + 1) * team->n_parts)
            atomic_store_explicit(&team->stage, stage + 1,
                                  memory_order_release);
    }
}
