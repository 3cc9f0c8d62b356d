/*
 * One request on its way through the server.  A call lies in its request's
 * arena; the thread that runs it owns it.
 */
#ifndef MD_SERVE_CALL_H
#define MD_SERVE_CALL_H

#include "base/json.h"
#include "net/http_server.h"
#include "net/url.h"
#include "serve/model.h"

enum {
    MD_CALL_ID_SIZE = 129
};

/* Parts of a call that computes, in order. */
typedef enum md_call_part {
    MD_CALL_QUEUE,
    MD_CALL_INPUT,  /* read the request */
    MD_CALL_INFER,  /* run the model */
    MD_CALL_OUTPUT, /* write the answer */
    MD_CALL_N_PARTS
} md_call_part;

typedef struct md_server md_server;
typedef struct md_route md_route;
typedef struct md_grpc_method md_grpc_method;
typedef struct md_call md_call;

struct md_call {
    md_http_request *http;
    md_server *server;
    const md_route *route; /* NULL: none was found */
    size_t route_index;
    const md_grpc_method *method; /* NULL: no call of gRPC, or none was found */
    size_t method_index;
    bool sent;        /* gRPC: the reply's message */
    md_status status; /* gRPC: how it ended */
    md_url_params params;
    struct md_served *served; /* a reference to the model's version, or NULL */
    const md_serve_model *model;  /* the same; set once it is known */
    md_buf *scratch;              /* where tensors are read to; else NULL */
    struct md_infer_state *infer; /* what has been read of it; or NULL */
    bool parks;         /* it has been read, and is to wait to be run */
    bool parked;        /* it did, and was run with others */
    bool cached;        /* answered from the cache */
    int64_t rows;       /* that it brought to its model's run; 0: none */
    int64_t priority;   /* of the schedule policy extension; 0: the usual */
    int64_t timeout_us; /* the same; 0: none */
    int64_t start_ns;
    int64_t deadline_ns; /* 0: none */
    int64_t queued_ns;   /* time spent in the queue */
    int64_t marked_ns;   /* end of the last part; 0: it has not begun */
    int64_t part_ns[MD_CALL_N_PARTS];
    uint64_t number;          /* of the server's calls */
    char id[MD_CALL_ID_SIZE]; /* "": not made yet */
};

/* Does the request carry a body of this media type ("image/png", or
 * "image/" for all of them)?  Parameters are ignored. */
bool md_call_has_type(const md_call *c, const char *type);

/* The part has ended now; parts may come more than once. */
void md_call_mark(md_call *c, md_call_part part);

/* Set the call's model, as md_models_find does; it stays until the call is
 * answered, whatever is loaded meanwhile. */
md_status md_call_find_model(md_call *c, const char *name, const char *version,
                             md_error *err);

/* Let the call's model go. */
void md_call_drop_model(md_call *c);

/* Does it run on a worker, behind the queue? */
bool md_call_computes(const md_call *c);

/* "v2_infer", "grpc_model_infer", "none": for metrics. */
const char *md_call_kind(const md_call *c);

/* The model called by {model} and {version}, or the default one when the path
 * has no {model}.  MD_NOT_FOUND tells which part is unknown. */
md_status md_call_model(md_call *c, md_error *err);

/* A writer on the reply's body, which becomes application/json.  Numbers
 * that are not finite are written as strings. */
md_status md_call_json(md_call *c, md_json_writer *w, md_error *err);

/* Reply {}: it is done, and there is nothing to say. */
md_status md_call_done(md_call *c, md_error *err);

/* Is this a failure of the server's own?  Its text is for the log, clients
 * hear no more than the status. */
bool md_call_is_inner(md_status s);

/* Make the reply {"error": text} with the HTTP status of err->status, or end
 * the call of gRPC with its status and text. */
void md_call_fail(md_call *c, const md_error *err);

/* What writing the reply came to: a reply over its limit is told as that. */
md_status md_call_replied(const md_call *c, md_status s, md_error *err);

/* Memory of the request; MD_NOMEM when there is none. */
md_status md_call_alloc(md_call *c, void *out, size_t n, size_t size,
                        md_error *err);

#endif
