/* Open Inference Protocol: what goes into a model, and what comes out? */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static void put_ios(md_pb_writer *w, uint32_t number, const md_serve_io *ios,
                    uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *v2 = md_dtype_v2_name(ios[i].dtype);
        md_pb_mark m = md_pb_begin(w, number);

        md_pb_put_text(w, MD_PB_TensorMetadata_name, ios[i].name);
        md_pb_put_text(w, MD_PB_TensorMetadata_datatype,
                       *v2 ? v2 : md_dtype_name(ios[i].dtype));
        md_pb_put_ints(w, MD_PB_TensorMetadata_shape, ios[i].shape.dim,
                       (size_t)ios[i].shape.rank);
        md_pb_end(w, m);
    }
}

static void put_version(void *ctx, const md_model_row *row)
{
    if (row->served)
        md_pb_put_text(ctx, MD_PB_ModelMetadataResponse_versions, row->version);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const md_serve_model *m;

    MD_TRY(md_grpc_model(c, request, err));
    m = c->model;
    md_pb_put_text(w, MD_PB_ModelMetadataResponse_name, m->name);
    md_models_each(c->server->models, m->name, put_version, w);
    md_pb_put_text(w, MD_PB_ModelMetadataResponse_platform, m->platform);
    put_ios(w, MD_PB_ModelMetadataResponse_inputs, m->inputs, m->n_inputs);
    put_ios(w, MD_PB_ModelMetadataResponse_outputs, m->outputs, m->n_outputs);
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_metadata = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelMetadata",
    .api = MD_API_METADATA,
    .summary = "Inputs and outputs of a model.",
    .handle = handle,
};
