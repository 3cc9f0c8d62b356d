/* Shared memory of the V2 protocol. */
#include "serve/route.h"
#include "serve/server_impl.h"

static void put_region(void *ctx, const md_shm_status *st)
{
    md_json_writer *w = ctx;

    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, st->name);
    md_json_put_name(w, "key");
    md_json_put_str(w, st->key);
    md_json_put_name(w, "offset");
    md_json_put_u64(w, st->offset);
    md_json_put_name(w, "byte_size");
    md_json_put_u64(w, st->size);
    md_json_put_end(w);
}

static md_status handle(md_call *c, md_error *err)
{
    const char *name = md_url_param_get(&c->params, "region");
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_array(&w);
    MD_TRY(md_shm_each(&c->server->shm, name ? name : "", put_region, &w, err));
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_shm_status = {
    .method = "GET",
    .paths = { "/v2/systemsharedmemory/status",
               "/v2/systemsharedmemory/region/{region}/status" },
    .summary = "The registered regions of shared memory, or the named one.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
        "\"name\",\"key\",\"offset\",\"byte_size\"],\"properties\":{"
        "\"name\":{\"type\":\"string\"},\"key\":{\"type\":\"string\"},"
        "\"offset\":{\"type\":\"integer\"},\"byte_size\":{\"type\":"
        "\"integer\"}}}}",
    .handle = handle,
};
