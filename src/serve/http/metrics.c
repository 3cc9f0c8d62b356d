/* Prometheus text. */
#include "serve/route.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_error *err)
{
    MD_TRY(md_http_reply_field(c->http, "Content-Type",
                               "text/plain; version=0.0.4; charset=utf-8",
                               err));
    return md_metrics_write(c->server->stats.metrics,
                            md_http_reply_body(c->http), err);
}

const md_route md_route_metrics = {
    .method = "GET",
    .paths = { "/metrics", NULL },
    .summary = "Metrics in the Prometheus text format.",
    .tag = "operation",
    .reply_type = "text/plain",
    .handle = handle,
};
