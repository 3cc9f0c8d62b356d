/* Open Inference Protocol: run a model. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/v2.h"

_Static_assert(MD_PB_ModelInferRequest_model_name == 1 &&
                   MD_PB_ModelInferRequest_model_version == 2,
               "as md_grpc_model reads them");

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_v2_messages m = { request, w, false };

    MD_TRY(md_grpc_model(c, request, err));
    return md_infer_call(c, &md_v2_grpc, &m, err);
}

const md_grpc_method md_grpc_method_model_infer = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelInfer",
    .api = MD_API_INFERENCE,
    .summary = "Run a model; contents typed or raw, answers raw.",
    .computes = true,
    .handle = handle,
};
