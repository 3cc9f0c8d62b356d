/* Triton's log settings. */
#include "serve/route.h"
#include "serve/settings.h"

static void put(void *ctx, const md_setting *s)
{
    md_json_writer *w = ctx;

    md_json_put_name(w, s->name);
    if (s->kind == MD_SETTING_BOOL)
        md_json_put_bool(w, s->yes);
    else if (s->kind == MD_SETTING_NUMBER)
        md_json_put_i64(w, s->number);
    else
        md_json_put_str(w, s->texts[0]);
}

static md_status reply(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_log_settings_each(c->server, put, &w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

static md_status change(md_call *c, md_error *err)
{
    md_log_change of = MD_LOG_CHANGE_INIT;

    MD_TRY(md_settings_read(c, md_log_change_take, &of, err));
    md_log_change_apply(&of, c->server);
    return reply(c, err);
}

#define SCHEMA                                                                 \
    "{\"type\":\"object\",\"properties\":{\"log_file\":{\"type\":\"string\"}," \
    "\"log_info\":{\"type\":\"boolean\"},\"log_warning\":{\"type\":"           \
    "\"boolean\"},\"log_error\":{\"type\":\"boolean\"},"                       \
    "\"log_verbose_level\":{\"type\":\"integer\"},\"log_format\":{\"type\":"   \
    "\"string\"}}}"

const md_route md_route_v2_logging = {
    .method = "GET",
    .paths = { "/v2/logging", NULL },
    .summary = "Triton's log settings: which levels are written, and how.",
    .tag = "v2",
    .api = MD_API_LOGGING,
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = reply,
};

const md_route md_route_v2_logging_set = {
    .method = "POST",
    .paths = { "/v2/logging", NULL },
    .summary = "Changes log settings until the server ends or reads its "
               "configuration again; log_format is default, ISO8601 (one line "
               "of key=value) or json.",
    .tag = "v2",
    .api = MD_API_LOGGING,
    .request_type = "application/json",
    .request_schema =
        "{\"type\":\"object\",\"properties\":{\"log_info\":{\"type\":"
        "\"boolean\"},\"log_warning\":{\"type\":\"boolean\"},\"log_error\":{"
        "\"type\":\"boolean\"},\"log_verbose_level\":{\"type\":\"integer\","
        "\"minimum\":0,\"maximum\":4294967295},\"log_format\":{\"enum\":["
        "\"default\",\"ISO8601\",\"json\"]}},\"additionalProperties\":false}",
    .reply_type = "application/json",
    .reply_schema = SCHEMA,
    .handle = change,
};
