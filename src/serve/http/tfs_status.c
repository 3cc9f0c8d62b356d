/* TensorFlow Serving: which versions of a model are there? */
#include <string.h>

#include "serve/route.h"
#include "serve/server_impl.h"

static void put(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

/* The states of get_model_status.proto. */
static const char *state_of(md_model_state s)
{
    switch (s) {
    case MD_MODEL_LOADING:
        return "LOADING";
    case MD_MODEL_READY:
        return "AVAILABLE";
    case MD_MODEL_UNLOADING:
        return "UNLOADING";
    case MD_MODEL_UNAVAILABLE:
        return "END";
    default:
        return "UNKNOWN";
    }
}

typedef struct status {
    md_json_writer w;
    const char *version; /* NULL: all */
    bool found;
} status;

static void put_row(void *ctx, const md_model_row *row)
{
    status *st = ctx;
    const bool fails = row->state == MD_MODEL_UNAVAILABLE;

    if (st->version ? strcmp(st->version, row->version) != 0 : row->number < 0)
        return;
    st->found = true;
    md_json_put_object(&st->w);
    put(&st->w, "version", row->version);
    put(&st->w, "state", state_of(row->state));
    md_json_put_name(&st->w, "status");
    md_json_put_object(&st->w);
    put(&st->w, "error_code", fails ? "UNAVAILABLE" : "OK");
    put(&st->w, "error_message", fails ? row->reason : "");
    md_json_put_end(&st->w);
    md_json_put_end(&st->w);
}

static md_status handle(md_call *c, md_error *err)
{
    const char *name = md_url_param_get(&c->params, "model");
    status st = { .version = md_url_param_get(&c->params, "version") };

    MD_TRY(md_call_json(c, &st.w, err));
    md_json_put_object(&st.w);
    md_json_put_name(&st.w, "model_version_status");
    md_json_put_array(&st.w);
    md_models_each(c->server->models, name, put_row, &st);
    md_json_put_end(&st.w);
    md_json_put_end(&st.w);
    if (!st.found)
        return md_call_model(c, err);
    return md_json_finish(&st.w, err);
}

const md_route md_route_tfs_status = {
    .method = "GET",
    .paths = { "/v1/models/{model}", "/v1/models/{model}/versions/{version}" },
    .summary = "TensorFlow Serving's status of a model's versions.",
    .tag = "v1",
    .api = MD_API_HEALTH,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"model_version_status\"],"
        "\"properties\":{\"model_version_status\":{\"type\":\"array\","
        "\"items\":{\"type\":\"object\",\"required\":[\"version\",\"state\","
        "\"status\"],\"properties\":{\"version\":{\"type\":\"string\"},"
        "\"state\":{\"type\":\"string\"},\"status\":{\"type\":\"object\"}}}}}}",
    .handle = handle,
};
