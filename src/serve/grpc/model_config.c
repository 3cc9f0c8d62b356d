/*
 * Triton's model configuration, as far as a model here has one: no batching is
 * configured (max_batch_size 0), so dims are whole shapes.
 */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"

/* Inputs and outputs have the same fields, with other numbers for dims. */
static void put_ios(md_pb_writer *w, uint32_t number, uint32_t dims,
                    const md_serve_io *ios, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const bool text = ios[i].dtype == MD_DTYPE_STRING;
        md_pb_mark m = md_pb_begin(w, number);

        md_pb_put_text(w, MD_PB_ModelInput_name, ios[i].name);
        md_pb_put_int(
            w, MD_PB_ModelInput_data_type,
            md_proto_value(MD_PROTO_model_config, "TYPE_",
                           text ? "STRING" : md_dtype_v2_name(ios[i].dtype)));
        md_pb_put_ints(w, dims, ios[i].shape.dim, (size_t)ios[i].shape.rank);
        md_pb_end(w, m);
    }
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const md_serve_model *m;
    md_pb_mark mark;

    MD_TRY(md_grpc_model(c, request, err));
    m = c->model;
    mark = md_pb_begin(w, MD_PB_ModelConfigResponse_config);
    md_pb_put_text(w, MD_PB_ModelConfig_name, m->name);
    md_pb_put_text(w, MD_PB_ModelConfig_platform, m->platform);
    md_pb_put_text(w, MD_PB_ModelConfig_backend, "modeld");
    put_ios(w, MD_PB_ModelConfig_input, MD_PB_ModelInput_dims, m->inputs,
            m->n_inputs);
    put_ios(w, MD_PB_ModelConfig_output, MD_PB_ModelOutput_dims, m->outputs,
            m->n_outputs);
    md_pb_end(w, md_pb_begin(w, MD_PB_ModelConfig_model_transaction_policy));
    md_pb_end(w, mark);
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_config = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelConfig",
    .summary = "Triton's configuration of a model.",
    .handle = handle,
};
