/* Triton's model repository: load a model, or what has changed of it. */
#include <string.h>

#include "serve/route.h"
#include "serve/server_impl.h"

/* The members of "parameters". */
static md_status take_parameters(const md_call *c, md_json *r,
                                 const char **config, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        if (!md_json_is(&t, "config"))
            return md_json_fail(t.at, err,
                                "unknown load parameter '%.*s', 'config' "
                                "expected",
                                t.size > 64 ? 64 : (int)t.size, t.text);
        MD_TRY(md_json_expect(r, MD_JSON_STRING, &t, err));
        MD_TRY(md_json_string(&t, md_http_request_arena(c->http), config, NULL,
                              err));
    }
}

static md_status take_body(const md_call *c, const char **config, md_error *err)
{
    md_slice body = md_http_request_body(c->http);
    md_json_token t;
    md_json r;

    *config = NULL;
    if (body.size == 0)
        return MD_OK;
    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return md_json_expect(&r, MD_JSON_END, &t, err);
        if (md_json_is(&t, "parameters"))
            MD_TRY(take_parameters(c, &r, config, err));
        else
            MD_TRY(md_json_skip(&r, &t, err));
    }
}

static md_status handle(md_call *c, md_error *err)
{
    const char *config;

    MD_TRY(take_body(c, &config, err));
    MD_TRY(md_loader_load(c->server->loader,
                          md_url_param_get(&c->params, "model"), config, err));
    return md_call_done(c, err);
}

const md_route md_route_v2_load = {
    .method = "POST",
    .paths = { "/v2/repository/models/{model}/load",
               "/v2/repository/{repository}/models/{model}/load" },
    .summary = "Load a model of the repository, or what has changed of it; "
               "the versions that serve do so until the new ones are ready.  "
               "The parameter config is a configuration in JSON.",
    .tag = "v2",
    .api = MD_API_MODEL_REPOSITORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\",\"properties\":{\"parameters\":{"
                      "\"type\":\"object\",\"properties\":{\"config\":{"
                      "\"type\":\"string\"}},\"additionalProperties\":false}}}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .loads = true,
    .handle = handle,
};
