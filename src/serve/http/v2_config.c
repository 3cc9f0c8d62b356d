/* Triton's model configuration, as far as a model here has one: without a
 * configuration of its own max_batch_size is 0, and dims are whole shapes. */
#include <stdio.h>

#include "serve/route.h"

static void put_member(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static void put_ios(md_json_writer *w, const char *name, const md_serve_io *ios,
                    uint32_t n, int from)
{
    md_json_put_name(w, name);
    md_json_put_array(w);
    for (uint32_t i = 0; i < n; i++) {
        const bool text = ios[i].dtype == MD_DTYPE_STRING;
        char type[32];

        (void)snprintf(type, sizeof(type), "TYPE_%s",
                       text ? "STRING" : md_dtype_v2_name(ios[i].dtype));
        md_json_put_object(w);
        put_member(w, "name", ios[i].name);
        put_member(w, "data_type", type);
        md_json_put_name(w, "dims");
        md_json_put_array(w);
        for (int k = from; k < ios[i].shape.rank; k++)
            md_json_put_i64(w, ios[i].shape.dim[k]);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void put_number(md_json_writer *w, const char *name, int64_t v)
{
    md_json_put_name(w, name);
    md_json_put_i64(w, v);
}

static void begin(md_json_writer *w, const char *name)
{
    md_json_put_name(w, name);
    md_json_put_object(w);
}

static void put_list(md_json_writer *w, const char *name,
                     const md_config_ints *list)
{
    md_json_put_name(w, name);
    md_json_put_array(w);
    for (uint32_t i = 0; i < list->n; i++)
        md_json_put_i64(w, list->v[i]);
    md_json_put_end(w);
}

static void put_policy(md_json_writer *w, const md_model_config *c)
{
    begin(w, "version_policy");
    begin(w, c->which == MD_VERSIONS_ALL      ? "all"
             : c->which == MD_VERSIONS_LATEST ? "latest"
                                              : "specific");
    if (c->which == MD_VERSIONS_LATEST)
        put_number(w, "num_versions", c->n_latest);
    else if (c->which == MD_VERSIONS_SPECIFIC)
        put_list(w, "versions", &c->versions);
    md_json_put_end(w);
    md_json_put_end(w);
}

static void put_batching(md_json_writer *w, const md_config_batching *b)
{
    begin(w, "dynamic_batching");
    put_list(w, "preferred_batch_size", &b->preferred);
    put_number(w, "max_queue_delay_microseconds", b->delay_us);
    md_json_put_name(w, "preserve_ordering");
    md_json_put_bool(w, b->preserve_ordering);
    put_number(w, "priority_levels", b->n_levels);
    put_number(w, "default_priority_level", b->default_level);
    md_json_put_end(w);
}

static void put_pairs(md_json_writer *w, const char *name,
                      const md_config_pairs *list)
{
    begin(w, name);
    for (uint32_t i = 0; i < list->n; i++)
        put_member(w, list->v[i].own, list->v[i].tensor);
    md_json_put_end(w);
}

static void put_steps(md_json_writer *w, const md_config_steps *steps)
{
    begin(w, "ensemble_scheduling");
    md_json_put_name(w, "step");
    md_json_put_array(w);
    for (uint32_t i = 0; i < steps->n; i++) {
        md_json_put_object(w);
        put_member(w, "model_name", steps->v[i].model);
        put_number(w, "model_version", steps->v[i].version);
        put_pairs(w, "input_map", &steps->v[i].inputs);
        put_pairs(w, "output_map", &steps->v[i].outputs);
        md_json_put_end(w);
    }
    md_json_put_end(w);
    md_json_put_end(w);
}

/* What was written for it. */
static void put_config(md_json_writer *w, const md_model_config *c)
{
    put_policy(w, c);
    if (c->default_model_filename)
        put_member(w, "default_model_filename", c->default_model_filename);
    if (c->n_instances) {
        md_json_put_name(w, "instance_group");
        md_json_put_array(w);
        md_json_put_object(w);
        put_member(w, "kind", "KIND_CPU");
        put_number(w, "count", c->n_instances);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    if (c->batching.on)
        put_batching(w, &c->batching);
    if (c->ensemble.n)
        put_steps(w, &c->ensemble);
    if (c->response_cache) {
        begin(w, "response_cache");
        md_json_put_name(w, "enable");
        md_json_put_bool(w, true);
        md_json_put_end(w);
    }
}

static md_status handle(md_call *c, md_error *err)
{
    const md_serve_model *m;
    md_json_writer w;

    MD_TRY(md_call_model(c, err));
    m = c->model;
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    put_member(&w, "name", m->name);
    put_member(&w, "platform", m->platform);
    put_member(&w, "backend", "modeld");
    put_number(&w, "max_batch_size", m->max_batch);
    put_ios(&w, "input", m->inputs, m->n_inputs, m->max_batch > 0);
    put_ios(&w, "output", m->outputs, m->n_outputs, m->max_batch > 0);
    if (m->config)
        put_config(&w, m->config);
    begin(&w, "model_transaction_policy");
    md_json_put_name(&w, "decoupled");
    md_json_put_bool(&w, false);
    md_json_put_end(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

#define IOS                                                                    \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["        \
    "\"name\",\"data_type\",\"dims\"],\"properties\":{\"name\":{\"type\":"     \
    "\"string\"},\"data_type\":{\"type\":\"string\"},\"dims\":{\"type\":"      \
    "\"array\",\"items\":{\"type\":\"integer\"}}}}}"

const md_route md_route_v2_config = {
    .method = "GET",
    .paths = { "/v2/models/{model}/config",
               "/v2/models/{model}/versions/{version}/config" },
    .summary = "Triton's configuration of a model; -1 is a dimension of any "
               "size.",
    .tag = "v2",
    .api = MD_API_MODEL_CONFIG,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"name\",\"platform\",\"backend\","
        "\"max_batch_size\",\"input\",\"output\"],\"properties\":{\"name\":{"
        "\"type\":\"string\"},\"platform\":{\"type\":\"string\"},\"backend\":{"
        "\"type\":\"string\"},\"max_batch_size\":{\"type\":\"integer\"},"
        "\"input\":" IOS ",\"output\":" IOS
        ",\"model_transaction_policy\":{\"type\":\"object\"}}}",
    .handle = handle,
};
