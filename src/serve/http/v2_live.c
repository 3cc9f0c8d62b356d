/* Open Inference Protocol: is the process alive? */
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "live");
    md_json_put_bool(&w, true);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_live = {
    .method = "GET",
    .paths = { "/v2/health/live", NULL },
    .summary = "The server is alive.",
    .tag = "v2",
    .api = MD_API_HEALTH,
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"live\"],"
                    "\"properties\":{\"live\":{\"type\":\"boolean\"}}}",
    .handle = handle,
};
