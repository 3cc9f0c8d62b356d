/* Open Inference Protocol: can this model be called? */
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_model(c, err));
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "name");
    md_json_put_str(&w, c->model->name);
    md_json_put_name(&w, "ready");
    md_json_put_bool(&w, true);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_model_ready = {
    .method = "GET",
    .paths = { "/v2/models/{model}/ready",
               "/v2/models/{model}/versions/{version}/ready" },
    .summary = "The model takes requests; 404 when there is none.",
    .tag = "v2",
    .api = MD_API_HEALTH,
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"name\",\"ready\"],"
                    "\"properties\":{\"name\":{\"type\":\"string\"},"
                    "\"ready\":{\"type\":\"boolean\"}}}",
    .handle = handle,
};
