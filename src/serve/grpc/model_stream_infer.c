/*
 * Triton's extension: runs of models in one stream, answered in order.
 *
 * A run that fails is an error_message, and the stream goes on; a client that
 * sends "triton_grpc_error: true" has the stream ended with the status
 * instead.  https://github.com/triton-inference-server/server, docs/
 * customization_guide/inference_protocols.md.
 */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/v2.h"

static md_status infer(md_call *c, md_pb request, md_pb_writer *w,
                       md_error *err)
{
    md_v2_messages m = { request, w, true };

    MD_TRY(md_grpc_model(c, request, err));
    return md_infer_call(c, &md_v2_grpc, &m, err);
}

/* The error, and the id of the request that it is about. */
static void put_error(md_call *c, md_pb request, md_pb_writer *w,
                      const md_error *e)
{
    const char *id = NULL;
    md_pb_field f = { .number = 1 };
    md_pb_mark m;

    while (f.number && md_pb_next(&f, &request, NULL) == MD_OK)
        if (f.number == MD_PB_ModelInferRequest_id)
            (void)md_grpc_text(c, &id, &f, NULL);
    md_pb_writer_clear(w);
    md_pb_put_text(w, MD_PB_ModelStreamInferResponse_error_message,
                   md_call_is_inner(e->status) ? md_status_text(e->status)
                                               : e->msg);
    m = md_pb_begin(w, MD_PB_ModelStreamInferResponse_infer_response);
    if (id)
        md_pb_put_text(w, MD_PB_ModelInferResponse_id, id);
    md_pb_end(w, m);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_error e = MD_ERROR_INIT;
    md_status s;

    if (md_grpc_stream_ends(c))
        return MD_OK;
    s = infer(c, request, w, &e);
    if (s == MD_OK)
        return MD_OK;
    if (md_slice_eq(md_http_request_field(c->http, "triton_grpc_error"),
                    "true"))
        return md_fail(err, s, "%s", e.msg);
    c->status = s;
    put_error(c, request, w, &e);
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_stream_infer = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelStreamInfer",
    .api = MD_API_INFERENCE,
    .summary = "Run models in one stream, answered in order.",
    .streams = true,
    .computes = true,
    .handle = handle,
};
