/* Shared memory of the V2 protocol. */
#include "serve/route.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_error *err)
{
    const char *name = md_url_param_get(&c->params, "region");

    MD_TRY(md_shm_unregister(&c->server->shm, name ? name : "", err));
    return md_call_done(c, err);
}

const md_route md_route_shm_unregister = {
    .method = "POST",
    .paths = { "/v2/systemsharedmemory/unregister",
               "/v2/systemsharedmemory/region/{region}/unregister" },
    .summary = "Forgets the named region of shared memory, or all of them.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\"}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .handle = handle,
};
