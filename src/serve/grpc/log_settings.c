/* Triton's log settings: an empty request asks, one with settings changes. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/settings.h"

static void put(void *ctx, const md_setting *s)
{
    md_pb_writer *w = ctx;
    md_pb_mark entry = md_pb_begin(w, MD_PB_LogSettingsResponse_settings);
    md_pb_mark value;

    md_pb_put_text(w, 1, s->name);
    value = md_pb_begin(w, 2);
    if (s->kind == MD_SETTING_BOOL)
        md_pb_put_int(w, MD_PB_LogSettingResponseValue_bool_param, s->yes);
    else if (s->kind == MD_SETTING_NUMBER)
        md_pb_put_int(w, MD_PB_LogSettingResponseValue_uint32_param, s->number);
    else
        md_pb_put_text(w, MD_PB_LogSettingResponseValue_string_param,
                       s->texts[0]);
    md_pb_end(w, value);
    md_pb_end(w, entry);
}

static md_status take_value(md_call *c, md_pb value, md_setting *s,
                            md_error *err)
{
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &value, err));
        switch (f.number) {
        case 0:
            return MD_OK;
        case MD_PB_LogSettingValue_bool_param:
            s->kind = MD_SETTING_BOOL;
            s->yes = f.value != 0;
            break;
        case MD_PB_LogSettingValue_uint32_param:
            s->kind = MD_SETTING_NUMBER;
            s->number = (uint32_t)f.value;
            break;
        case MD_PB_LogSettingValue_string_param:
            s->kind = MD_SETTING_TEXTS;
            s->n_texts = 1;
            MD_TRY(md_grpc_text(c, &s->texts[0], &f, err));
            break;
        default:
            break;
        }
    }
}

static md_status take_entry(md_call *c, const md_pb_field *entry,
                            md_log_change *change, md_error *err)
{
    md_setting s = { .kind = MD_SETTING_CLEAR };
    md_pb value;

    MD_TRY(md_grpc_entry(c, entry, &s.name, &value, err));
    MD_TRY(take_value(c, value, &s, err));
    return md_log_change_take(change, &s, err);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_log_change change = MD_LOG_CHANGE_INIT;

    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_LogSettingsRequest_settings)
            MD_TRY(take_entry(c, &f, &change, err));
    }
    md_log_change_apply(&change, c->server);
    md_log_settings_each(c->server, put, w);
    return MD_OK;
}

const md_grpc_method md_grpc_method_log_settings = {
    .service = "inference.GRPCInferenceService",
    .name = "LogSettings",
    .api = MD_API_LOGGING,
    .summary = "Triton's log settings, after those that are given have been "
               "changed.",
    .handle = handle,
};
