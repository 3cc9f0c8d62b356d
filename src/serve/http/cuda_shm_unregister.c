/* Shared memory of the V2 protocol. */
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    return md_call_done(c, err);
}

const md_route md_route_cuda_shm_unregister = {
    .method = "POST",
    .paths = { "/v2/cudasharedmemory/unregister",
               "/v2/cudasharedmemory/region/{region}/unregister" },
    .summary = "Forgets nothing: there are no regions.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\"}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .handle = handle,
};
