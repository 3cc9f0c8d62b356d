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

typedef struct md_server md_server;
typedef struct md_route md_route;
typedef struct md_call md_call;

struct md_call {
    md_http_request *http;
    md_server *server;
    const md_route *route; /* NULL: none was found */
    size_t route_index;
    md_url_params params;
    const md_serve_model *model; /* set once it is known, for the metrics */
    md_buf *scratch;             /* the worker's, for tensors; else NULL */
    int64_t start_ns;
    int64_t deadline_ns; /* 0: none */
    int64_t queued_ns;   /* time spent in the queue */
    char id[MD_CALL_ID_SIZE];
};

/* Does the request carry a body of this media type ("image/png", or
 * "image/" for all of them)?  Parameters are ignored. */
bool md_call_has_type(const md_call *c, const char *type);

/* The model called by {model} and {version}, or the default one when the path
 * has no {model}.  MD_NOT_FOUND tells which part is unknown. */
md_status md_call_model(md_call *c, md_error *err);

/* A writer on the reply's body, which becomes application/json.  Numbers
 * that are not finite are written as strings. */
md_status md_call_json(md_call *c, md_json_writer *w, md_error *err);

/* Is this a failure of the server's own?  Its text is for the log, clients
 * hear no more than the status. */
bool md_call_is_inner(md_status s);

/* Make the reply {"error": text} with the HTTP status of err->status. */
void md_call_fail(md_call *c, const md_error *err);

/* What writing the reply came to: a reply over its limit is told as that. */
md_status md_call_replied(const md_call *c, md_status s, md_error *err);

/* Memory of the request; MD_NOMEM when there is none. */
md_status md_call_alloc(md_call *c, void *out, size_t n, size_t size,
                        md_error *err);

#endif
