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
    md_stat_sum cache_hit, cache_miss; /* and the time to look */
    _Atomic uint64_t rows;             /* of the batches of those calls */
    _Atomic uint64_t executions;       /* of the model */
    /* Batches that were run, by their rows: sizes[rows] up to n_sizes - 1. */
    struct md_stat_batch *sizes;
    uint32_t n_sizes;
} md_model_stats;

typedef struct md_stat_batch {
    md_stat_sum input, infer, output;
} md_stat_batch;

enum {
    MD_STAT_SIZES_MAX = 1024 /* rows of batches that are told apart */
};

/* For batches of up to max_batch rows.  Zeroed statistics tell of batches of
 * one. */
md_status md_model_stats_init(md_model_stats *st, int64_t max_batch,
                              const md_alloc *alloc, md_error *err);
void md_model_stats_release(md_model_stats *st, const md_alloc *alloc);

/* A call's answer has been looked for in the cache. */
void md_model_stats_looked_up(md_model_stats *st, bool hit, int64_t ns);

/* The model has been run for so many rows: nanoseconds of reading, running and
 * answering. */
void md_model_stats_ran(md_model_stats *st, int64_t rows, int64_t input_ns,
                        int64_t infer_ns, int64_t output_ns);

/* The model has been run for so many rows, as a step of another one that
 * n_calls calls asked for. */
void md_model_stats_step(md_model_stats *st, uint32_t n_calls, int64_t rows,
                         int64_t infer_ns, bool success);

/* A call of this model has ended. */
void md_model_stats_add(md_model_stats *st, const md_call *c, bool success);

/* Milliseconds since 1970 of the last call; 0: there was none. */
uint64_t md_model_stats_last_ms(const md_model_stats *st);

#endif
