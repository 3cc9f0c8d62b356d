#include "serve/grpc.h"

#include <string.h>

#include "serve/server_impl.h"

#define GRPC_METHOD(id) extern const md_grpc_method md_grpc_method_##id;
#include "serve/grpc.def"
#undef GRPC_METHOD

const md_grpc_method *const md_grpc_methods[MD_N_GRPCS] = {
#define GRPC_METHOD(id) &md_grpc_method_##id,
#include "serve/grpc.def"
#undef GRPC_METHOD
};

const char *md_grpc_method_id(size_t i)
{
    static const char *const ids[MD_N_GRPCS] = {
#define GRPC_METHOD(id) "grpc_" #id,
#include "serve/grpc.def"
#undef GRPC_METHOD
    };

    return ids[i];
}

/* Is s text, and what is behind it in *rest? */
static bool skip(md_slice *s, const char *text)
{
    const size_t n = strlen(text);

    if (s->size < n || memcmp(s->data, text, n) != 0)
        return false;
    s->data += n;
    s->size -= n;
    return true;
}

md_status md_grpc_find(size_t *out, md_slice path, md_error *err)
{
    for (size_t i = 0; i < MD_N_GRPCS; i++) {
        const md_grpc_method *m = md_grpc_methods[i];
        md_slice rest = path;

        if (skip(&rest, "/") && skip(&rest, m->service) && skip(&rest, "/") &&
            md_slice_eq(rest, m->name)) {
            *out = i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED, "no method has the path '%.*s'",
                   path.size > 128 ? 128 : (int)path.size, path.data);
}

/* ---- replies ---- */

static md_status append(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

md_status md_grpc_send(md_call *call, md_pb_writer *w, md_error *err)
{
    md_buf *out;
    md_status s;
    size_t size;

    if (call->sent)
        return MD_OK;
    MD_TRY(md_call_replied(call, md_pb_writer_finish(w, &size, err), err));
    MD_TRY(md_http_reply_message(call->http, &out, err));
    s = md_buf_reserve(out, size, err);
    if (s == MD_OK)
        s = md_pb_writer_drain(w, append, out, err);
    if (s != MD_OK)
        return md_call_replied(call, s, err);
    call->sent = true;
    return MD_OK;
}

static md_status run(md_call *call, md_pb_writer *w, md_error *err)
{
    md_slice message = { NULL, 0 };
    const md_http_event event = md_http_request_event(call->http);

    if (event == MD_HTTP_MESSAGE)
        MD_TRY(md_http_request_message(call->http, &message, err));
    MD_TRY(call->method->handle(call, md_pb_init(message.data, message.size), w,
                                err));
    if (call->parks || (event != MD_HTTP_MESSAGE && w->buf.size == 0))
        return MD_OK;
    return md_grpc_send(call, w, err);
}

md_status md_grpc_run(md_call *call, md_error *err)
{
    const md_server *srv = call->server;
    md_pb_writer w;
    md_status s;

    md_pb_writer_init(&w, srv->request_alloc, srv->opts.http.reply_size_max);
    s = run(call, &w, err);
    md_pb_writer_release(&w);
    return s;
}

bool md_grpc_stream_ends(md_call *call)
{
    switch (md_http_request_event(call->http)) {
    case MD_HTTP_HALF:
        md_http_reply_end(call->http, MD_OK, NULL);
        return true;
    case MD_HTTP_DRAIN:
        call->status = MD_UNAVAILABLE;
        md_http_reply_end(call->http, MD_UNAVAILABLE,
                          "server is shutting down");
        return true;
    default:
        return false;
    }
}

/* ---- requests ---- */

md_status md_grpc_text(md_call *call, const char **out, const md_pb_field *f,
                       md_error *err)
{
    return md_pb_text(out, f, md_http_request_arena(call->http), err);
}

md_status md_grpc_entry(md_call *call, const md_pb_field *entry,
                        const char **key, md_pb *value, md_error *err)
{
    md_pb fields;

    *key = "";
    *value = (md_pb){ NULL, NULL, 0 };
    MD_TRY(md_pb_message(&fields, entry, err));
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &fields, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == 1)
            MD_TRY(md_grpc_text(call, key, &f, err));
        else if (f.number == 2)
            MD_TRY(md_pb_message(value, &f, err));
    }
}

md_status md_grpc_texts(md_call *call, md_pb request, const char **first,
                        const char **second, md_error *err)
{
    *first = "";
    *second = "";
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == 1)
            MD_TRY(md_grpc_text(call, first, &f, err));
        else if (f.number == 2)
            MD_TRY(md_grpc_text(call, second, &f, err));
    }
}

md_status md_grpc_model(md_call *call, md_pb request, md_error *err)
{
    const char *name;
    const char *version;

    MD_TRY(md_grpc_texts(call, request, &name, &version, err));
    return md_call_find_model(call, name, version, err);
}
