/*
 * gRPC health checking: tell whenever a service begins or ends to serve.  That
 * happens once here, when the server drains: the call is held until then.
 */
#include "serve/grpc.h"
#include "serve/health.h"
#include "serve/proto.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    int status;

    if (md_http_request_event(c->http) == MD_HTTP_HALF)
        return md_fail(err, MD_INVALID, "no request given, one expected");
    MD_TRY(md_health_read(c, request, &status, err));
    md_pb_put_int(w, MD_PB_HealthCheckResponse_status, status);
    if (md_http_request_event(c->http) == MD_HTTP_DRAIN)
        md_http_reply_end(c->http, MD_OK, NULL);
    else
        md_http_reply_hold(c->http);
    return MD_OK;
}

const md_grpc_method md_grpc_method_health_watch = {
    .service = "grpc.health.v1.Health",
    .name = "Watch",
    .api = MD_API_HEALTH,
    .summary = "The same as Check, and when it changes.",
    .streams = true,
    .handle = handle,
};
