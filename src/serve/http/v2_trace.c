/* Triton's trace settings, of all models and of one. */
#include <string.h>

#include "serve/route.h"
#include "serve/server_impl.h"

static void put(void *ctx, const md_setting *s)
{
    md_json_writer *w = ctx;

    md_json_put_name(w, s->name);
    if (strcmp(s->name, "trace_level") != 0) {
        md_json_put_str(w, s->texts[0]);
        return;
    }
    md_json_put_array(w);
    for (uint32_t i = 0; i < s->n_texts; i++)
        md_json_put_str(w, s->texts[i]);
    md_json_put_end(w);
}

static md_status reply(md_call *c, const char *model, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_trace_each(c->server->trace, model, put, &w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

static md_status change(md_call *c, const char *model, md_error *err)
{
    md_trace_change of = { .n = 0 };

    MD_TRY(md_settings_read(c, md_trace_change_take, &of, err));
    MD_TRY(md_trace_apply(c->server->trace, model, &of, err));
    return reply(c, model, err);
}

static md_status tell_all(md_call *c, md_error *err)
{
    return reply(c, NULL, err);
}

static md_status change_all(md_call *c, md_error *err)
{
    return change(c, NULL, err);
}

static md_status tell_one(md_call *c, md_error *err)
{
    MD_TRY(md_call_model(c, err));
    return reply(c, c->model->name, err);
}

static md_status change_one(md_call *c, md_error *err)
{
    MD_TRY(md_call_model(c, err));
    return change(c, c->model->name, err);
}

#define SCHEMA                                                                 \
    "{\"type\":\"object\",\"properties\":{\"trace_level\":{\"type\":"          \
    "\"array\",\"items\":{\"type\":\"string\"}},\"trace_rate\":{\"type\":"     \
    "\"string\"},\"trace_count\":{\"type\":\"string\"},\"log_frequency\":{"    \
    "\"type\":\"string\"},\"trace_file\":{\"type\":\"string\"},"               \
    "\"trace_mode\":{\"type\":\"string\"}}}"

/* Numbers may be written as strings: Triton's clients do so. */
#define NUMBER(min)                                                            \
    "{\"type\":[\"integer\",\"string\",\"null\"],\"minimum\":" min             \
    ",\"maximum\":4294967295,\"pattern\":\"^-?[0-9]+$\"}"

#define GIVEN                                                                  \
    "{\"type\":\"object\",\"properties\":{\"trace_level\":{\"type\":["         \
    "\"array\",\"null\"],\"items\":{\"enum\":[\"OFF\",\"TIMESTAMPS\"]},"       \
    "\"minItems\":1,\"maxItems\":4},\"trace_rate\":" NUMBER(                   \
        "1") ",\"trace_count\":" NUMBER("-1") ",\"log_frequency\":" NUMBER("0") "},\"additionalProperties\":false}"

const md_route md_route_v2_trace = {
    .method = "GET",
    .paths = { "/v2/trace/setting", NULL },
    .summary = "Triton's trace settings of all models.",
    .tag = "v2",
    .api = MD_API_TRACE,
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = tell_all,
};

const md_route md_route_v2_trace_set = {
    .method = "POST",
    .paths = { "/v2/trace/setting", NULL },
    .summary = "Changes trace settings of all models; null: as the server "
               "began.  Traces go where the option trace_file says.",
    .tag = "v2",
    .api = MD_API_TRACE,
    .request_type = "application/json",
    .request_schema = GIVEN,
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = change_all,
};

const md_route md_route_v2_trace_model = {
    .method = "GET",
    .paths = { "/v2/models/{model}/trace/setting", NULL },
    .summary = "Triton's trace settings of a model.",
    .tag = "v2",
    .api = MD_API_TRACE,
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = tell_one,
};

const md_route md_route_v2_trace_model_set = {
    .method = "POST",
    .paths = { "/v2/models/{model}/trace/setting", NULL },
    .summary = "Changes trace settings of a model; null: those of all models.",
    .tag = "v2",
    .api = MD_API_TRACE,
    .request_type = "application/json",
    .request_schema = GIVEN,
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = change_one,
};
