/*
 * What a model has done since the server started, as Triton's statistics
 * extension counts it (protocol/extension_statistics.md).
 */
#ifndef MD_SERVE_MODEL_STATS_H
#define MD_SERVE_MODEL_STATS_H

#include <stdatomic.h>

#include "serve/call.h"

typedef struct md_stat_sum {
    _Atomic uint64_t n;
    _Atomic uint64_t ns;
} md_stat_sum;

/* Written by all threads, read by any; sums of one model are not of one
 * moment. */
typedef struct md_model_stats {
    _Atomic int64_t last_ns; /* end of the last call, on md_clock_ns */
    md_stat_sum success;     /* from the last byte to the answer */
    md_stat_sum fail;
    md_stat_sum part[MD_CALL_N_PARTS]; /* of the calls that succeeded */
} md_model_stats;

/* A call of this model has ended. */
void md_model_stats_add(md_model_stats *st, const md_call *c, bool success);

/* Milliseconds since 1970 of the last call; 0: there was none. */
uint64_t md_model_stats_last_ms(const md_model_stats *st);

#endif
