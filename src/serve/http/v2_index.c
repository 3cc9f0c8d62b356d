/* Triton's model repository: which models are there? */
#include "serve/route.h"
#include "serve/server_impl.h"

/* {"ready": true} asks for those that are ready, which all are. */
static md_status check_body(const md_call *c, md_error *err)
{
    md_slice body = md_http_request_body(c->http);
    md_json_token t;
    md_json r;

    if (body.size == 0)
        return MD_OK;
    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    MD_TRY(md_json_skip(&r, &t, err));
    return md_json_expect(&r, MD_JSON_END, &t, err);
}

static md_status handle(md_call *c, md_error *err)
{
    static const char *const names[] = { "name", "version", "state" };
    const md_server *s = c->server;
    md_json_writer w;

    MD_TRY(check_body(c, err));
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_array(&w);
    for (uint32_t i = 0; i < s->n_models; i++) {
        const char *const values[] = { s->models[i]->name,
                                       s->models[i]->version, "READY" };

        md_json_put_object(&w);
        for (size_t k = 0; k < MD_COUNT(names); k++) {
            md_json_put_name(&w, names[k]);
            md_json_put_str(&w, values[k]);
        }
        md_json_put_end(&w);
    }
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_index = {
    .method = "POST",
    .paths = { "/v2/repository/index", "/v2/repository/{repository}/index" },
    .summary = "Triton's index of the models; all are READY.",
    .tag = "v2",
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\",\"properties\":{\"ready\":{"
                      "\"type\":\"boolean\"}}}",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
        "\"name\",\"state\"],\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"version\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"}}}}",
    .handle = handle,
};
