/* TensorFlow Serving: which versions of a model are there? */
#include "serve/route.h"

static void put(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_model(c, err));
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "model_version_status");
    md_json_put_array(&w);
    md_json_put_object(&w);
    put(&w, "version", c->model->version);
    put(&w, "state", "AVAILABLE");
    md_json_put_name(&w, "status");
    md_json_put_object(&w);
    put(&w, "error_code", "OK");
    put(&w, "error_message", "");
    for (int i = 0; i < 4; i++)
        md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_tfs_status = {
    .method = "GET",
    .paths = { "/v1/models/{model}", "/v1/models/{model}/versions/{version}" },
    .summary = "TensorFlow Serving's status of a model's versions.",
    .tag = "v1",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"model_version_status\"],"
        "\"properties\":{\"model_version_status\":{\"type\":\"array\","
        "\"items\":{\"type\":\"object\",\"required\":[\"version\",\"state\","
        "\"status\"],\"properties\":{\"version\":{\"type\":\"string\"},"
        "\"state\":{\"type\":\"string\"},\"status\":{\"type\":\"object\"}}}}}}",
    .handle = handle,
};
