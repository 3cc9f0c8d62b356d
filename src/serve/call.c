#include "serve/call.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "serve/grpc.h"
#include "serve/route.h"
#include "serve/server_impl.h"

bool md_call_has_type(const md_call *c, const char *type)
{
    md_slice t = md_http_request_field(c->http, "content-type");
    size_t n = strlen(type);
    const char *semi = t.size ? memchr(t.data, ';', t.size) : NULL;

    if (semi)
        t.size = (size_t)(semi - t.data);
    t = md_slice_trim(t);
    if (n && type[n - 1] == '/' && t.size > n)
        t.size = n;
    return md_slice_eq_nocase(t, type);
}

void md_call_mark(md_call *c, md_call_part part)
{
    const int64_t now = md_clock_ns();

    c->part_ns[part] += now - (c->marked_ns ? c->marked_ns : c->start_ns);
    c->marked_ns = now;
}

bool md_call_computes(const md_call *c)
{
    return c->method ? c->method->computes : c->route && c->route->computes;
}

const char *md_call_kind(const md_call *c)
{
    if (c->method)
        return md_grpc_method_id(c->method_index);
    return c->route ? md_route_id(c->route_index) : "none";
}

void md_call_drop_model(md_call *c)
{
    if (c->served)
        md_served_unref(c->served);
    c->served = NULL;
    c->model = NULL;
}

md_status md_call_find_model(md_call *c, const char *name, const char *version,
                             md_error *err)
{
    if (c->infer) /* it has been read for the model that it has */
        return MD_OK;
    md_call_drop_model(c);
    MD_TRY(md_models_find(c->server->models, &c->served, name, version, err));
    c->model = c->served->model;
    return MD_OK;
}

md_status md_call_model(md_call *c, md_error *err)
{
    return md_call_find_model(c, md_url_param_get(&c->params, "model"),
                              md_url_param_get(&c->params, "version"), err);
}

md_status md_call_json(md_call *c, md_json_writer *w, md_error *err)
{
    md_json_writer_init(w, md_http_reply_body(c->http));
    w->nonfinite = MD_JSON_NONFINITE_STRING;
    return md_http_reply_field(c->http, "Content-Type", "application/json",
                               err);
}

md_status md_call_done(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

bool md_call_is_inner(md_status s)
{
    return s == MD_INTERNAL || s == MD_IO || s == MD_NOMEM;
}

void md_call_fail(md_call *c, const md_error *err)
{
    const char *text =
        md_call_is_inner(err->status) ? md_status_text(err->status) : err->msg;
    md_json_writer w;

    md_http_reply_reset(c->http);
    if (md_http_request_is_grpc(c->http)) {
        c->status = err->status;
        md_http_reply_end(c->http, err->status, text);
        return;
    }
    md_http_reply_status(c->http, md_status_http(err->status));
    /* Without memory the status alone has to do. */
    if (md_call_json(c, &w, NULL) != MD_OK)
        return;
    md_json_put_object(&w);
    md_json_put_name(&w, "error");
    md_json_put_str(&w, text);
    md_json_put_end(&w);
    if (md_json_finish(&w, NULL) != MD_OK)
        md_http_reply_reset(c->http);
    else if (err->status == MD_BUSY || err->status == MD_UNAVAILABLE)
        (void)md_http_reply_field(c->http, "Retry-After", "1", NULL);
}

md_status md_call_replied(const md_call *c, md_status s, md_error *err)
{
    if (s != MD_TOO_LARGE)
        return s;
    return md_fail(err, s,
                   "response of more than %zu bytes: ask for fewer samples or "
                   "outputs",
                   c->server->opts.http.reply_size_max);
}

md_status md_call_alloc(md_call *c, void *out, size_t n, size_t size,
                        md_error *err)
{
    void *p = md_arena_calloc(md_http_request_arena(c->http), n ? n : 1, size);

    if (!p)
        return md_fail_nomem(err, n * size);
    memcpy(out, &p, sizeof(p));
    return MD_OK;
}
