/*
 * Traces of inference calls, as Triton writes them into a file: a JSON array,
 * two objects for each, which is complete at any time (trace_summary.py of
 * triton-inference-server/server reads it).
 *
 *   {"id":1,"model_name":"m","model_version":"1","request_id":"...",
 *    "trace_id":"<32 hex>","span_id":"<16 hex>","parent_span_id":"..."}
 *   {"id":1,"timestamps":[{"name":"REQUEST_START","ns":...},...]}
 *
 * Times are of the monotonic clock; those between REQUEST_START and
 * REQUEST_END follow from how long the call waited, read, ran and wrote in
 * all, in this order.
 *
 * Of the calls that a setting counts each trace_rate-th is traced, until
 * trace_count of them have been; and each whose client asks for it by W3C's
 * traceparent (https://www.w3.org/TR/trace-context/) with the flag `sampled`,
 * whose trace it then belongs to.  A traced call's answer has the field
 * traceparent.
 *
 * Settings are those of all models and, where a model has its own, these.
 */
#ifndef MD_SERVE_TRACE_H
#define MD_SERVE_TRACE_H

#include "serve/settings.h"

typedef struct md_trace md_trace;

typedef struct md_trace_opts {
    const char *file; /* NULL or "": there is none; kept */
    bool on;
    int64_t rate;
    int64_t count; /* -1: no end */
} md_trace_opts;

#define MD_TRACE_OPTS_INIT                                                     \
    {                                                                          \
        .rate = 1000, .count = -1                                              \
    }

/* MD_INVALID when it is on and has no file. */
md_status md_trace_new(md_trace **out, const md_trace_opts *opts,
                       const md_alloc *alloc, md_error *err);
void md_trace_free(md_trace *t);

/* ---- settings; any thread ---- */

typedef enum md_trace_member {
    MD_TRACE_ON, /* trace_level is TIMESTAMPS */
    MD_TRACE_RATE,
    MD_TRACE_COUNT,
    MD_TRACE_FREQUENCY, /* traces of a file, which is numbered; 0: all */
    MD_TRACE_N_MEMBERS
} md_trace_member;

/* What a request changes; nothing before all of it has been read. */
typedef struct md_trace_change {
    uint32_t n; /* settings told */
    bool told[MD_TRACE_N_MEMBERS];
    bool clear[MD_TRACE_N_MEMBERS];
    int64_t v[MD_TRACE_N_MEMBERS];
} md_trace_change;

/* ctx: md_trace_change */
md_status md_trace_change_take(void *ctx, const md_setting *s, md_error *err);

/* model NULL: of all.  MD_UNSUPPORTED when there is no file for traces. */
md_status md_trace_apply(md_trace *t, const char *model,
                         const md_trace_change *change, md_error *err);

/* Call put for each setting as it is now. */
void md_trace_each(md_trace *t, const char *model,
                   void (*put)(void *ctx, const md_setting *s), void *ctx);

/* ---- calls; a worker ---- */

/* May any call be traced? */
bool md_trace_is_on(const md_trace *t);

/* The call, whose model is known, is about to be answered: trace it when it
 * is its turn.  What cannot be written is logged. */
void md_trace_call(md_trace *t, md_call *c, const char *id);

#endif
