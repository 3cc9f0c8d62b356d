/*
 * Structured pruning: a model with fewer channels, hidden numbers and heads,
 * that is smaller and faster everywhere.
 *
 * What can be cut follows from the graph (cut.h).  How much of it is given, or
 * is searched so that a share of the multiply-accumulates or of the measured
 * latency is left: each group gives the same share of its units, rounded so that
 * channels fill the vectors of kernels where a group is wide; what rounding took
 * too much goes back, to the groups that have the least.  Which units is
 * told by their weights, by gradients or by what the layers behind them lose;
 * the last also gives these layers weights that make up for it.  Running
 * statistics of normalizations are then taken anew over the data.
 * (docs/adr/0031-pruning.md)
 */
#ifndef MD_OPTIMIZE_PRUNE_H
#define MD_OPTIMIZE_PRUNE_H

#include "data/subset.h"

typedef enum md_importance {
    MD_IMPORTANCE_AUTO = 0,    /* reconstruction with data, else weights */
    MD_IMPORTANCE_WEIGHTS,     /* |W|_2 * |gamma| / sigma of what makes it,
                                * against its layer's mean */
    MD_IMPORTANCE_TAYLOR,      /* E[(sum w dL/dw)^2] of what makes it (P.
                                * Molchanov et al., 2019): with labels */
    MD_IMPORTANCE_RECONSTRUCT, /* optimize/reconstruct.h: with data */
} md_importance;

typedef enum md_prune_goal {
    MD_PRUNE_CHANNELS, /* share of units that go */
    MD_PRUNE_MACS,     /* share of multiply-accumulates that stay */
    MD_PRUNE_LATENCY,  /* share of the time of one sample that stays */
} md_prune_goal;

/* Time of one sample in seconds of the model before (`a`) and after, measured
 * side by side. */
typedef md_status md_prune_time_fn(void *ctx, double *a, double *b,
                                   const md_model *before,
                                   const md_model *after, md_error *err);

typedef struct md_prune_opts {
    md_prune_goal goal;
    double amount; /* in (0, 1) */
    md_importance importance;
    const md_dataset *data; /* NULL: none */
    int64_t n_samples;      /* of data that are looked at, at most */
    uint64_t seed;          /* which ones */
    md_pool *pool;
    md_prune_time_fn *time; /* of MD_PRUNE_LATENCY; NULL: md_stopwatch */
    void *ctx;
} md_prune_opts;

#define MD_PRUNE_OPTS_INIT                                                     \
    {                                                                          \
        .goal = MD_PRUNE_CHANNELS, .amount = 0.2, .n_samples = 2000, .seed = 1 \
    }

/* A group of what was cut. */
typedef struct md_prune_row {
    char *name; /* of weights */
    uint32_t before, after;
} md_prune_row;

typedef struct md_prune_report {
    int64_t macs_before, macs_after; /* of one sample */
    int64_t params_before, params_after;
    double share; /* of units that the groups were asked for */
    double time_before, time_after; /* of MD_PRUNE_LATENCY; else 0 */
    md_importance importance;       /* not AUTO */
    uint32_t n_norms;               /* that have new statistics */
    md_prune_row *row;
    uint32_t n_rows;
    md_arena arena;
} md_prune_report;

/*
 * Make *out from `model`, which is not changed.  MD_UNSUPPORTED when nothing in
 * it can be cut; MD_INVALID names a goal that cannot be met, with what can.  The
 * report is to be released when this succeeds.
 */
md_status md_prune(md_model **out, const md_model *model,
                   const md_prune_opts *opts, md_prune_report *report,
                   md_error *err);

void md_prune_report_release(md_prune_report *r);

const char *md_importance_name(md_importance i);

#endif
