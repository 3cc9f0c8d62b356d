/* The description of this interface, made from the list of routes. */
#include "serve/openapi.h"

#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_openapi_write(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_openapi = {
    .method = "GET",
    .paths = { "/openapi.json", NULL },
    .summary = "This interface as an OpenAPI 3.1 document.",
    .tag = "operation",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"openapi\",\"info\","
                    "\"paths\"]}",
    .handle = handle,
};
