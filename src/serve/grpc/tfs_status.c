/* TensorFlow Serving: the versions of a model. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/tfs_pb.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_pb_mark m;
    md_pb_mark status;

    MD_TRY(md_tfs_pb_model(c, request, err));
    m = md_pb_begin(w, MD_PB_GetModelStatusResponse_model_version_status);
    md_pb_put_int(w, MD_PB_ModelVersionStatus_version,
                  md_tfs_pb_version(c->model));
    md_pb_put_int(w, MD_PB_ModelVersionStatus_state, MD_PB_AVAILABLE);
    status = md_pb_begin(w, MD_PB_ModelVersionStatus_status);
    md_pb_put_text(w, MD_PB_StatusProto_error_message, "");
    md_pb_end(w, status);
    md_pb_end(w, m);
    return MD_OK;
}

const md_grpc_method md_grpc_method_tfs_status = {
    .service = "tensorflow.serving.ModelService",
    .name = "GetModelStatus",
    .api = MD_API_HEALTH,
    .summary = "The versions of a model.",
    .handle = handle,
};
