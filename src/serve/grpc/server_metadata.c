/* Open Inference Protocol: server metadata. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/v2.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    (void)c;
    (void)request;
    (void)err;
    md_pb_put_text(w, MD_PB_ServerMetadataResponse_name, "modeld");
    md_pb_put_text(w, MD_PB_ServerMetadataResponse_version, MODELD_VERSION);
    for (size_t i = 0; md_v2_extensions[i]; i++)
        md_pb_put_text(w, MD_PB_ServerMetadataResponse_extensions,
                       md_v2_extensions[i]);
    return MD_OK;
}

const md_grpc_method md_grpc_method_server_metadata = {
    .service = "inference.GRPCInferenceService",
    .name = "ServerMetadata",
    .summary = "Name, version and extensions of the server.",
    .handle = handle,
};
