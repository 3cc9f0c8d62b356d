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
    _Atomic uint64_t last_ms; /* of the last call, since 1970; 0: none yet */
    md_stat_sum success;      /* from the last byte to the answer */
    md_stat_sum fail;
    md_stat_sum part[MD_CALL_N_PARTS]; /* of the calls that succeeded */
} md_model_stats;

/* A call of this model, which ends now. */
void md_model_stats_add(md_model_stats *st, md_call *c, bool success);

#endif
