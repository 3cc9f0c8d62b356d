/* gRPC health checking, what its methods share
 * (github.com/grpc/grpc, doc/health-checking.md). */
#ifndef MD_SERVE_HEALTH_H
#define MD_SERVE_HEALTH_H

#include "formats/pb.h"
#include "serve/call.h"

/* HealthCheckResponse.ServingStatus of a service of proto.h, of "" for the
 * server, or of "model/NAME" or "model/NAME/VERSION". */
int md_health_status(md_call *call, const char *service);

/* The status that a HealthCheckRequest asks for. */
md_status md_health_read(md_call *call, md_pb request, int *status,
                         md_error *err);

#endif
