/* Triton's model configuration, as far as a model here has one: no batching is
 * configured (max_batch_size 0), so dims are whole shapes. */
#include <stdio.h>

#include "serve/route.h"

static void put_member(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static void put_ios(md_json_writer *w, const char *name, const md_serve_io *ios,
                    uint32_t n)
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
        for (int k = 0; k < ios[i].shape.rank; k++)
            md_json_put_i64(w, ios[i].shape.dim[k]);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
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
    md_json_put_name(&w, "max_batch_size");
    md_json_put_i64(&w, 0);
    put_ios(&w, "input", m->inputs, m->n_inputs);
    put_ios(&w, "output", m->outputs, m->n_outputs);
    md_json_put_name(&w, "model_transaction_policy");
    md_json_put_object(&w);
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
