/* Triton's model repository: unload a model. */
#include "serve/route.h"
#include "serve/server_impl.h"

/* "parameters": {"unload_dependents": true} */
static md_status take_parameters(md_json *r, bool *with_steps, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        if (!md_json_is(&t, "unload_dependents")) {
            MD_TRY(md_json_skip(r, &t, err));
            continue;
        }
        MD_TRY(md_json_next(r, &t, err));
        MD_TRY(md_json_bool(&t, with_steps, err));
    }
}

static md_status take_body(const md_call *c, bool *with_steps, md_error *err)
{
    md_slice body = md_http_request_body(c->http);
    md_json_token t;
    md_json r;

    if (body.size == 0)
        return MD_OK;
    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return md_json_expect(&r, MD_JSON_END, &t, err);
        if (md_json_is(&t, "parameters"))
            MD_TRY(take_parameters(&r, with_steps, err));
        else
            MD_TRY(md_json_skip(&r, &t, err));
    }
}

static md_status handle(md_call *c, md_error *err)
{
    bool with_steps = false;

    MD_TRY(take_body(c, &with_steps, err));
    MD_TRY(md_loader_unload(c->server->loader,
                            md_url_param_get(&c->params, "model"), with_steps,
                            err));
    return md_call_done(c, err);
}

const md_route md_route_v2_unload = {
    .method = "POST",
    .paths = { "/v2/repository/models/{model}/unload",
               "/v2/repository/{repository}/models/{model}/unload" },
    .summary = "Unload all versions of a model; requests that it has are "
               "answered.  With unload_dependents the models that an ensemble "
               "is made of go, too; ensembles made of it always do.",
    .tag = "v2",
    .api = MD_API_MODEL_REPOSITORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\",\"properties\":{\"parameters\":{"
                      "\"type\":\"object\",\"properties\":{"
                      "\"unload_dependents\":{\"type\":\"boolean\"}}}}}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .loads = true,
    .handle = handle,
};
