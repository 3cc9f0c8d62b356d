/* Open Inference Protocol: server metadata. */
#include "serve/route.h"
#include "serve/v2.h"

static void put_name(void *ctx, const char *name)
{
    md_json_put_str(ctx, name);
}

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "name");
    md_json_put_str(&w, "modeld");
    md_json_put_name(&w, "version");
    md_json_put_str(&w, MODELD_VERSION);
    md_json_put_name(&w, "extensions");
    md_json_put_array(&w);
    md_v2_each_extension(c, put_name, &w);
    md_json_put_end(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_server = {
    .method = "GET",
    .paths = { "/v2", NULL },
    .summary = "Name, version and extensions of the server.",
    .tag = "v2",
    .api = MD_API_METADATA,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"name\",\"version\","
        "\"extensions\"],\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"version\":{\"type\":\"string\"},\"extensions\":{\"type\":\"array\","
        "\"items\":{\"type\":\"string\"}}}}",
    .handle = handle,
};
