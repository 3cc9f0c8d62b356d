/* The names of the models, the default one first. */
#include "serve/route.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "models");
    md_json_put_array(&w);
    for (uint32_t i = 0; i < c->server->n_models; i++)
        md_json_put_str(&w, c->server->models[i]->name);
    md_json_put_end(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_models = {
    .method = "GET",
    .paths = { "/v2/models", NULL },
    .summary = "Names of the models, the default one first.",
    .tag = "v2",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"models\"],"
                    "\"properties\":{\"models\":{\"type\":\"array\",\"items\":"
                    "{\"type\":\"string\"}}}}",
    .handle = handle,
};
