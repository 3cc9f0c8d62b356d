/* TensorFlow Serving: a number for each example. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/tfs_pb.h"

static md_status write(const void *request, void *ctx, md_error *err)
{
    const md_tfs_request *r = request;
    const md_tfs_messages *m = ctx;

    MD_TRY(md_tfs_pb_put_values(m->w, MD_PB_RegressionResponse_result, r, err));
    md_tfs_pb_put_spec(m->w, MD_PB_RegressionResponse_model_spec, r->feed.call);
    return MD_OK;
}

static const md_infer_form form = { sizeof(md_tfs_request),
                                    md_tfs_pb_parse_examples, write };

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_tfs_messages m = { request, w };

    MD_TRY(md_tfs_pb_model(c, request, err));
    return md_infer_call(c, &form, &m, err);
}

const md_grpc_method md_grpc_method_tfs_regress = {
    .service = "tensorflow.serving.PredictionService",
    .name = "Regress",
    .api = MD_API_INFERENCE,
    .summary = "A number for each example.",
    .computes = true,
    .handle = handle,
};
