/* Open Inference Protocol: can this model be called?  One that is not there
 * cannot. */
#include "serve/grpc.h"
#include "serve/proto.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_error why = MD_ERROR_INIT;
    md_status s = md_grpc_model(c, request, &why);

    if (s != MD_OK && s != MD_NOT_FOUND)
        return md_fail(err, s, "%s", why.msg);
    md_pb_put_int(w, MD_PB_ModelReadyResponse_ready, s == MD_OK);
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_ready = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelReady",
    .api = MD_API_HEALTH,
    .summary = "The model takes requests.",
    .handle = handle,
};
