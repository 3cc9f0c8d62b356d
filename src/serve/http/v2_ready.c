/* Open Inference Protocol: may requests be sent here? */
#include "serve/route.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_error *err)
{
    bool ready = !atomic_load(&c->server->draining);
    md_json_writer w;

    if (!ready)
        md_http_reply_status(c->http, 503);
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "ready");
    md_json_put_bool(&w, ready);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_ready = {
    .method = "GET",
    .paths = { "/v2/health/ready", NULL },
    .summary = "The server takes requests; 503 while it shuts down.",
    .tag = "v2",
    .api = MD_API_HEALTH,
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"ready\"],"
                    "\"properties\":{\"ready\":{\"type\":\"boolean\"}}}",
    .handle = handle,
};
