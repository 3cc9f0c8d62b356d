/* gRPC health checking: does a service serve? */
#include "serve/grpc.h"
#include "serve/health.h"
#include "serve/proto.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    int status;

    MD_TRY(md_health_read(c, request, &status, err));
    if (status == MD_PB_SERVICE_UNKNOWN)
        return md_fail(err, MD_NOT_FOUND, "unknown service");
    md_pb_put_int(w, MD_PB_HealthCheckResponse_status, status);
    return MD_OK;
}

const md_grpc_method md_grpc_method_health_check = {
    .service = "grpc.health.v1.Health",
    .name = "Check",
    .api = MD_API_HEALTH,
    .summary = "Does the server, a service, or `model/NAME` serve?",
    .handle = handle,
};
