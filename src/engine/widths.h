/*
 * How many threads a step is given.
 *
 * The first executions of a plan time its steps: once as they come, then, what
 * is short, on the caller alone.  From then on a step has as many threads as
 * its work keeps busy longer than handing it over takes, does not wake anybody
 * for less than waking takes, and a plan with much to share wakes workers when
 * it begins.  A plan for other sizes starts anew.
 */
#ifndef MD_ENGINE_WIDTHS_H
#define MD_ENGINE_WIDTHS_H

#include "engine/run_impl.h"

/* Nothing is known of the steps of r yet: after planning. */
void md_run__forget_widths(md_run *r);

/* Whether this execution is to be timed. */
static inline bool md_run__is_timed(const md_run *r)
{
    return r->n_timed < MD_TIMED_RUNS;
}

/* Around each step of such an execution, and at its end. */
void md_run__before_step(const md_run *r, md_run_step *st);
void md_run__after_step(const md_run *r, md_run_step *st, int64_t ns);
void md_run__after_timing(md_run *r);

#endif
