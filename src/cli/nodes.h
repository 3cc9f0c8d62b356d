/* `modeld bench --nodes`: where in a model the time goes. */
#ifndef MD_CLI_NODES_H
#define MD_CLI_NODES_H

#include "cli/print.h"
#include "cli/roof.h"
#include "engine/profile.h"

/* One step of a run. */
typedef struct md_node_time {
    md_step_facts facts;
    double min_ns, p50_ns;
    double share; /* of the time of all steps */
    double roof;  /* the least that it could take, as a share of p50_ns */
} md_node_time;

typedef struct md_node_times {
    md_node_time *node; /* n, in the order in which they run */
    uint32_t n;
    int64_t n_runs;
    double sum_ns; /* of the p50s */
} md_node_times;

/*
 * Execute r for `seconds`, at least 20 times, and time each step.  What
 * reading the clock takes is taken off.  Arrays are the arena's, text the
 * session's.
 */
md_status md_node_times_measure(md_node_times *out, md_run *r,
                                const md_roof *roof, double seconds,
                                md_arena *arena, md_error *err);

/* A table, slowest first. */
void md_node_times_print(const md_node_times *t, FILE *f);

/* The members "node_runs", "nodes_us" and "nodes" of the object that is
 * open. */
void md_node_times_json(const md_node_times *t, md_json_writer *w);

#endif
