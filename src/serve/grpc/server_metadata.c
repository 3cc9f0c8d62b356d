/* Open Inference Protocol: server metadata. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/v2.h"

static void put_name(void *ctx, const char *name)
{
    md_pb_put_text(ctx, MD_PB_ServerMetadataResponse_extensions, name);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    (void)request;
    (void)err;
    md_pb_put_text(w, MD_PB_ServerMetadataResponse_name, "modeld");
    md_pb_put_text(w, MD_PB_ServerMetadataResponse_version, MODELD_VERSION);
    md_v2_each_extension(c, put_name, w);
    return MD_OK;
}

const md_grpc_method md_grpc_method_server_metadata = {
    .service = "inference.GRPCInferenceService",
    .name = "ServerMetadata",
    .api = MD_API_METADATA,
    .summary = "Name, version and extensions of the server.",
    .handle = handle,
};
