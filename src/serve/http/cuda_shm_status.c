/* Shared memory of the V2 protocol. */
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_array(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_cuda_shm_status = {
    .method = "GET",
    .paths = { "/v2/cudasharedmemory/status",
               "/v2/cudasharedmemory/region/{region}/status" },
    .summary = "No regions: there is no GPU.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"array\"}",
    .handle = handle,
};
