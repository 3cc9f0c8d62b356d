/* Triton's trace settings, of all models or of one: an empty request asks, one
 * with settings changes; one without values is as if it had never been set. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static void put(void *ctx, const md_setting *s)
{
    md_pb_writer *w = ctx;
    md_pb_mark entry = md_pb_begin(w, MD_PB_TraceSettingResponse_settings);
    md_pb_mark value;

    md_pb_put_text(w, 1, s->name);
    value = md_pb_begin(w, 2);
    for (uint32_t i = 0; i < s->n_texts; i++)
        md_pb_put_text(w, MD_PB_TraceSettingResponseValue_value, s->texts[i]);
    md_pb_end(w, value);
    md_pb_end(w, entry);
}

static md_status take_values(md_call *c, md_pb value, md_setting *s,
                             md_error *err)
{
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &value, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_PB_TraceSettingValue_value)
            continue;
        if (s->n_texts == MD_SETTING_TEXTS_MAX)
            return md_setting_fail(s, "at most 4 strings", err);
        s->kind = MD_SETTING_TEXTS;
        MD_TRY(md_grpc_text(c, &s->texts[s->n_texts++], &f, err));
    }
}

static md_status take_entry(md_call *c, const md_pb_field *entry,
                            md_trace_change *change, md_error *err)
{
    md_setting s = { .kind = MD_SETTING_CLEAR };
    md_pb value;

    MD_TRY(md_grpc_entry(c, entry, &s.name, &value, err));
    MD_TRY(take_values(c, value, &s, err));
    return md_trace_change_take(change, &s, err);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_trace_change change = { .n = 0 };
    const char *model = "";

    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_TraceSettingRequest_model_name)
            MD_TRY(md_grpc_text(c, &model, &f, err));
        if (f.number == MD_PB_TraceSettingRequest_settings)
            MD_TRY(take_entry(c, &f, &change, err));
    }
    if (*model)
        MD_TRY(md_call_find_model(c, model, NULL, err));
    MD_TRY(
        md_trace_apply(c->server->trace, *model ? model : NULL, &change, err));
    md_trace_each(c->server->trace, *model ? model : NULL, put, w);
    return MD_OK;
}

const md_grpc_method md_grpc_method_trace_setting = {
    .service = "inference.GRPCInferenceService",
    .name = "TraceSetting",
    .api = MD_API_TRACE,
    .summary = "Triton's trace settings, after those that are given have been "
               "changed.",
    .handle = handle,
};
