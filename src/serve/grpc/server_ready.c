/* Open Inference Protocol: may requests be sent here? */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    (void)request;
    (void)err;
    md_pb_put_int(w, MD_PB_ServerReadyResponse_ready,
                  !atomic_load(&c->server->draining));
    return MD_OK;
}

const md_grpc_method md_grpc_method_server_ready = {
    .service = "inference.GRPCInferenceService",
    .name = "ServerReady",
    .api = MD_API_HEALTH,
    .summary = "The server takes requests.",
    .handle = handle,
};
