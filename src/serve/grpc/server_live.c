/* Open Inference Protocol: is the process alive? */
#include "serve/grpc.h"
#include "serve/proto.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    (void)c;
    (void)request;
    (void)err;
    md_pb_put_int(w, MD_PB_ServerLiveResponse_live, true);
    return MD_OK;
}

const md_grpc_method md_grpc_method_server_live = {
    .service = "inference.GRPCInferenceService",
    .name = "ServerLive",
    .api = MD_API_HEALTH,
    .summary = "The server is alive.",
    .handle = handle,
};
