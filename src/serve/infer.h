/*
 * The life of a call that runs a model, whatever its form: it is read, run,
 * alone or with others, and answered.
 *
 * A call of a model with a lane (serve/lane.h) parks after it has been read:
 * its handler returns, the call waits, is run by some worker with those beside
 * it, and the handler is called once more to write the answer. md_infer_call knows
 * which time it is; a handler sees nothing of it.
 */
#ifndef MD_SERVE_INFER_H
#define MD_SERVE_INFER_H

#include "serve/cache.h"
#include "serve/feed.h"
#include "serve/lane.h"

/* A form of request; ctx is the form's, and another one each time. */
typedef struct md_infer_form {
    size_t size; /* of a request, which begins with its md_feed */
    /* The call's body for its model; the feed is ready, the rest zero. */
    md_status (*parse)(void *request, md_call *call, void *ctx, md_error *err);
    /* The answer; the feed has run. */
    md_status (*write)(const void *request, void *ctx, md_error *err);
} md_infer_form;

/* A call that has been read; in its request's arena. */
typedef struct md_infer_state {
    void *request;
    md_feed *feed; /* the request's first member */
    md_lane_item item;
    bool caches;            /* its answer is looked for, and kept */
    md_cache_key key;       /* then */
    md_cache_entry *cached; /* held: the answer; or NULL */
    md_buf inputs;          /* of a call that parks, in place of the worker's */
    md_status status;       /* of its run */
    md_error error;
} md_infer_state;

/* Read, run and answer the call, whose model is known; or MD_OK with
 * call->parks. */
md_status md_infer_call(md_call *call, const md_infer_form *form, void *ctx,
                        md_error *err);

/* Give back what a call that has been read holds. */
void md_infer_release(md_call *call);

typedef struct md_infer_batch {
    const md_serve_model *model;
    void *run;    /* NULL: each call has its own */
    int64_t rows; /* that were run at once; 0: each call by itself */
} md_infer_batch;

/*
 * Run n parked calls of one model together, in `scratch`.  Should they not fit
 * together, or the run fail, each is run by itself, so that one call's fault is
 * not another's.  To be released when all have been answered.
 */
void md_infer_run(md_infer_batch *b, md_lane_item *first, uint32_t n,
                  md_buf *scratch, int width);
void md_infer_batch_release(md_infer_batch *b);

#endif
