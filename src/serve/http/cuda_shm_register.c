/* Shared memory of the V2 protocol. */
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    return md_fail(err, MD_UNSUPPORTED,
                   "failed to register CUDA shared memory region '%.128s': "
                   "GPUs are not supported",
                   md_url_param_get(&c->params, "region"));
}

const md_route md_route_cuda_shm_register = {
    .method = "POST",
    .paths = { "/v2/cudasharedmemory/region/{region}/register", NULL },
    .summary = "Refused: there is no GPU.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\"}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .handle = handle,
};
