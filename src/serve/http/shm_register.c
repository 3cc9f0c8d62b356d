/* Shared memory of the V2 protocol. */
#include "serve/route.h"
#include "serve/server_impl.h"

typedef struct registration {
    const char *key;
    uint64_t offset;
    uint64_t size;
    bool has_size;
} registration;

static md_status take_member(md_call *c, md_json *in, registration *r,
                             const md_json_token *name, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(in, &t, err));
    if (md_json_is(name, "key"))
        return md_json_string(&t, md_http_request_arena(c->http), &r->key, NULL,
                              err);
    if (md_json_is(name, "offset"))
        return md_json_u64(&t, &r->offset, err);
    if (!md_json_is(name, "byte_size"))
        return md_json_skip(in, &t, err);
    r->has_size = true;
    return md_json_u64(&t, &r->size, err);
}

static md_status parse(md_call *c, registration *r, md_error *err)
{
    const md_slice body = md_http_request_body(c->http);
    md_json_token t;
    md_json in;

    md_json_init(&in, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&in, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&in, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            break;
        MD_TRY(take_member(c, &in, r, &t, err));
    }
    return md_json_expect(&in, MD_JSON_END, &t, err);
}

static md_status handle(md_call *c, md_error *err)
{
    registration r = { .key = NULL };

    MD_TRY(parse(c, &r, err));
    if (!r.key || !r.has_size)
        return md_fail(err, MD_INVALID, "member '%s' is missing",
                       r.key ? "byte_size" : "key");
    MD_TRY(md_shm_register(&c->server->shm,
                           md_url_param_get(&c->params, "region"), r.key,
                           r.offset, r.size, err));
    return md_call_done(c, err);
}

const md_route md_route_shm_register = {
    .method = "POST",
    .paths = { "/v2/systemsharedmemory/region/{region}/register", NULL },
    .summary = "Registers bytes of a segment of shared memory under a name.",
    .tag = "v2",
    .api = MD_API_SHARED_MEMORY,
    .request_type = "application/json",
    .request_schema =
        "{\"type\":\"object\",\"required\":[\"key\",\"byte_size\"],"
        "\"properties\":{\"key\":{\"type\":\"string\"},\"offset\":{"
        "\"type\":\"integer\"},\"byte_size\":{\"type\":\"integer\"}}}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\"}",
    .handle = handle,
};
