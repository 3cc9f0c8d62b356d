/* Triton's model repository: unload a model. */
#include "serve/route.h"
#include "serve/server_impl.h"

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
    MD_TRY(check_body(c, err));
    MD_TRY(md_loader_unload(c->server->loader,
                            md_url_param_get(&c->params, "model"), err));
    return md_call_done(c, err);
}

const md_route md_route_v2_unload = {
    .method = "POST",
    .paths = { "/v2/repository/models/{model}/unload",
               "/v2/repository/{repository}/models/{model}/unload" },
    .summary = "Unload all versions of a model; requests that it has are "
               "answered.  The parameter unload_dependents changes nothing.",
    .tag = "v2",
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\",\"properties\":{\"parameters\":{"
                      "\"type\":\"object\",\"properties\":{"
                      "\"unload_dependents\":{\"type\":\"boolean\"}}}}}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .loads = true,
    .handle = handle,
};
