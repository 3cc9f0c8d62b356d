/*
 * Triton's model configuration, as far as a model here has one: no batching is
 * configured (max_batch_size 0), so dims are whole shapes.
 */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"

/* Inputs and outputs have the same fields, with other numbers for dims. */
static void put_ios(md_pb_writer *w, uint32_t number, uint32_t dims,
                    const md_serve_io *ios, uint32_t n, int from)
{
    for (uint32_t i = 0; i < n; i++) {
        const bool text = ios[i].dtype == MD_DTYPE_STRING;
        md_pb_mark m = md_pb_begin(w, number);

        md_pb_put_text(w, MD_PB_ModelInput_name, ios[i].name);
        md_pb_put_int(
            w, MD_PB_ModelInput_data_type,
            md_proto_value(MD_PROTO_model_config, "TYPE_",
                           text ? "STRING" : md_dtype_v2_name(ios[i].dtype)));
        md_pb_put_ints(w, dims, ios[i].shape.dim + from,
                       (size_t)(ios[i].shape.rank - from));
        md_pb_end(w, m);
    }
}

static void put_list(md_pb_writer *w, uint32_t number,
                     const md_config_ints *list)
{
    md_pb_put_ints(w, number, list->v, list->n);
}

static void put_policy(md_pb_writer *w, const md_model_config *c)
{
    md_pb_mark policy = md_pb_begin(w, MD_PB_ModelConfig_version_policy);
    md_pb_mark m;

    if (c->which == MD_VERSIONS_LATEST) {
        m = md_pb_begin(w, MD_PB_ModelVersionPolicy_latest);
        md_pb_put_int(w, MD_PB_Latest_num_versions, c->n_latest);
    } else if (c->which == MD_VERSIONS_ALL) {
        m = md_pb_begin(w, MD_PB_ModelVersionPolicy_all);
    } else {
        m = md_pb_begin(w, MD_PB_ModelVersionPolicy_specific);
        put_list(w, MD_PB_Specific_versions, &c->versions);
    }
    md_pb_end(w, m);
    md_pb_end(w, policy);
}

static void put_batching(md_pb_writer *w, const md_config_batching *b)
{
    md_pb_mark m = md_pb_begin(w, MD_PB_ModelConfig_dynamic_batching);

    put_list(w, MD_PB_ModelDynamicBatching_preferred_batch_size, &b->preferred);
    md_pb_put_int(w, MD_PB_ModelDynamicBatching_max_queue_delay_microseconds,
                  b->delay_us);
    md_pb_put_int(w, MD_PB_ModelDynamicBatching_preserve_ordering,
                  b->preserve_ordering);
    md_pb_put_int(w, MD_PB_ModelDynamicBatching_priority_levels, b->n_levels);
    md_pb_put_int(w, MD_PB_ModelDynamicBatching_default_priority_level,
                  b->default_level);
    md_pb_end(w, m);
}

static void put_pairs(md_pb_writer *w, uint32_t number,
                      const md_config_pairs *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        md_pb_mark m = md_pb_begin(w, number);

        md_pb_put_text(w, 1, list->v[i].own);
        md_pb_put_text(w, 2, list->v[i].tensor);
        md_pb_end(w, m);
    }
}

static void put_steps(md_pb_writer *w, const md_config_steps *steps)
{
    md_pb_mark m = md_pb_begin(w, MD_PB_ModelConfig_ensemble_scheduling);

    for (uint32_t i = 0; i < steps->n; i++) {
        const md_config_step *step = &steps->v[i];
        md_pb_mark of = md_pb_begin(w, MD_PB_ModelEnsembling_step);

        md_pb_put_text(w, MD_PB_Step_model_name, step->model);
        md_pb_put_int(w, MD_PB_Step_model_version, step->version);
        put_pairs(w, MD_PB_Step_input_map, &step->inputs);
        put_pairs(w, MD_PB_Step_output_map, &step->outputs);
        md_pb_end(w, of);
    }
    md_pb_end(w, m);
}

/* What was written for it. */
static void put_config(md_pb_writer *w, const md_model_config *c)
{
    put_policy(w, c);
    if (c->default_model_filename)
        md_pb_put_text(w, MD_PB_ModelConfig_default_model_filename,
                       c->default_model_filename);
    if (c->n_instances) {
        md_pb_mark m = md_pb_begin(w, MD_PB_ModelConfig_instance_group);

        md_pb_put_int(w, MD_PB_ModelInstanceGroup_kind, MD_PB_KIND_CPU);
        md_pb_put_int(w, MD_PB_ModelInstanceGroup_count, c->n_instances);
        md_pb_end(w, m);
    }
    if (c->batching.on)
        put_batching(w, &c->batching);
    if (c->ensemble.n)
        put_steps(w, &c->ensemble);
    if (c->response_cache) {
        md_pb_mark m = md_pb_begin(w, MD_PB_ModelConfig_response_cache);

        md_pb_put_int(w, MD_PB_ModelResponseCache_enable, 1);
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
    md_pb_put_int(w, MD_PB_ModelConfig_max_batch_size, m->max_batch);
    put_ios(w, MD_PB_ModelConfig_input, MD_PB_ModelInput_dims, m->inputs,
            m->n_inputs, m->max_batch > 0);
    put_ios(w, MD_PB_ModelConfig_output, MD_PB_ModelOutput_dims, m->outputs,
            m->n_outputs, m->max_batch > 0);
    if (m->config)
        put_config(w, m->config);
    md_pb_end(w, md_pb_begin(w, MD_PB_ModelConfig_model_transaction_policy));
    md_pb_end(w, mark);
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_config = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelConfig",
    .api = MD_API_MODEL_CONFIG,
    .summary = "Triton's configuration of a model.",
    .handle = handle,
};
