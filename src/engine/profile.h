/*
 * Looking at a run: what each of its steps is, and when it begins and ends.
 *
 * A run that nobody watches does not know of this file: md_run_execute looks
 * once whether somebody does.
 */
#ifndef MD_ENGINE_PROFILE_H
#define MD_ENGINE_PROFILE_H

#include "engine/session.h"

/* Told on the thread that executes.  A step that fails does not end. */
typedef struct md_run_watch {
    void (*begin)(void *ctx, uint32_t step);
    void (*end)(void *ctx, uint32_t step);
    void *ctx;
} md_run_watch;

/* Tell w, the caller's, of the steps of the following executions, until the
 * run is released.  Steps of subgraphs belong to the node that has these. */
void md_run_set_watch(md_run *r, const md_run_watch *w);

/* A step: a node that is computed when running, or a change of layouts. */
typedef struct md_step_facts {
    const char *node;   /* its name; "" for none */
    const char *op;     /* "Reorder" where there is no node */
    const char *kernel; /* as md_session_explain tells it */
    int64_t macs;       /* multiply-accumulates; 0 also where unknown */
    int64_t bytes;      /* of operands and results, constants among them */
} md_step_facts;

uint32_t md_run_n_steps(const md_run *r);

/* Step i; sizes that are known only while running are those of the last
 * execution.  Text is the session's. */
md_step_facts md_run_step_facts(const md_run *r, uint32_t i);

#endif
