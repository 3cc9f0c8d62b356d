/* Triton's model repository: which models are there? */
#include "serve/index.h"
#include "serve/route.h"

/* {"ready": true} asks for those that are ready. */
static md_status take_body(const md_call *c, bool *ready, md_error *err)
{
    md_slice body = md_http_request_body(c->http);
    md_json_token t;
    md_json r;

    *ready = false;
    if (body.size == 0)
        return MD_OK;
    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return md_json_expect(&r, MD_JSON_END, &t, err);
        if (!md_json_is(&t, "ready")) {
            MD_TRY(md_json_skip(&r, &t, err));
            continue;
        }
        MD_TRY(md_json_next(&r, &t, err));
        MD_TRY(md_json_bool(&t, ready, err));
    }
}

static void put(md_json_writer *w, const char *name, const char *text)
{
    if (!*text)
        return;
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static void put_row(void *ctx, const md_model_row *row)
{
    md_json_writer *w = ctx;

    md_json_put_object(w);
    put(w, "name", row->name);
    put(w, "version", row->version);
    put(w, "state", md_model_state_name(row->state));
    put(w, "reason", row->reason);
    md_json_put_end(w);
}

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;
    bool ready;

    MD_TRY(take_body(c, &ready, err));
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_array(&w);
    MD_TRY(md_index_each(c, ready, put_row, &w, err));
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_v2_index = {
    .method = "POST",
    .paths = { "/v2/repository/index", "/v2/repository/{repository}/index" },
    .summary = "Triton's index of the models, with the state of each version "
               "and the reason why it is not READY, or not replaced.",
    .tag = "v2",
    .api = MD_API_MODEL_REPOSITORY,
    .request_type = "application/json",
    .request_schema = "{\"type\":\"object\",\"properties\":{\"ready\":{"
                      "\"type\":\"boolean\"}}}",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["
        "\"name\"],\"properties\":{\"name\":{\"type\":\"string\"},"
        "\"version\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},"
        "\"reason\":{\"type\":\"string\"}}}}",
    .computes = true, /* it reads the disk */
    .handle = handle,
};
