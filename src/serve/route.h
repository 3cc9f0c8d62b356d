/*
 * Routes: one file each under serve/http/, one line each in routes.def.
 *
 * Router, OpenAPI document, metrics labels and access log all come from the
 * list.
 */
#ifndef MD_SERVE_ROUTE_H
#define MD_SERVE_ROUTE_H

#include "net/url.h"
#include "serve/call.h"
#include "serve/restrict.h"

/* A handler writes the reply and returns MD_OK, or returns what went wrong:
 * the dispatcher then makes the reply {"error": "..."}. */
typedef md_status md_route_fn(md_call *call, md_error *err);

typedef struct md_route {
    const char *method;
    const char *paths[2]; /* templates of net/url.h; [1] may be NULL */
    const char *summary;
    const char *tag;
    md_api api;                 /* what it belongs to */
    const char *request_type;   /* media types by comma; NULL: no body */
    const char *request_schema; /* JSON Schema; NULL: not JSON only */
    const char *reply_type;
    const char *reply_schema; /* NULL: not JSON */
    bool computes;            /* runs on a worker, behind the queue */
    bool loads;               /* runs on the loader's thread, one by one */
    md_route_fn *handle;
} md_route;

enum {
#define ROUTE(id) MD_ROUTE_##id,
#include "serve/routes.def"
#undef ROUTE
    MD_N_ROUTES
};

extern const md_route *const md_routes[MD_N_ROUTES];

/* "v2_infer". */
const char *md_route_id(size_t i);

/*
 * The route of a request; HEAD finds those of GET.  MD_NOT_FOUND when no
 * path fits, MD_METHOD when only the method does not: *allow_out then is the
 * Allow field.
 */
md_status md_route_find(size_t *out, md_url_params *params,
                        const char **allow_out, md_slice method, md_slice path,
                        md_error *err);

#endif
