#include "net/http_request.h"

#include <assert.h>

#include "base/log.h"
#include "net/http1_reply.h"
#include "net/http_conn.h"

#define MD_LOG_TAG "net.http"

/* ---- for connections ---- */

void md_http__request_init(md_http_request *req, md_http_server *srv,
                           const char *peer)
{
    req->srv = srv;
    req->peer = peer;
    req->status = 200;
    md_arena_init(&req->arena, srv->alloc, srv->opts.arena_size_max);
    md_buf_init(&req->fields, srv->alloc, MD_HTTP__FIELDS_SIZE_MAX);
    md_buf_init(&req->body, srv->alloc, srv->opts.reply_size_max);
    md_buf_init(&req->grpc.plain, srv->alloc, srv->opts.limits.body_size_max);
}

void md_http__request_release(md_http_request *req)
{
    md_arena_release(&req->arena);
    md_buf_release(&req->fields);
    md_buf_release(&req->body);
    md_buf_release(&req->grpc.plain);
    md_http__request_count(req, 0);
}

void md_http__request_reset(md_http_request *req, size_t keep)
{
    if (req->arena.used > keep)
        md_arena_release(&req->arena);
    else
        md_arena_reset(&req->arena);
    if (req->body.cap > keep)
        md_buf_release(&req->body);
    md_buf_release(&req->grpc.plain);
    req->grpc = (md_http__grpc){ .plain = req->grpc.plain };
    req->grpc.plain.limit = req->srv->opts.limits.body_size_max;
    req->decoded = false;
    md_http_reply_reset(req);
    req->status = 200;
}

void md_http__request_count(md_http_request *req, size_t in)
{
    const size_t now = in + req->body.cap + req->grpc.plain.cap;

    if (now == req->counted)
        return;
    md_http__count(&req->srv->stats.buffered_bytes,
                   (uint64_t)now - req->counted);
    req->counted = now;
}

void md_http__request_hand_out(md_http_request *req)
{
    assert(!req->owned);
    req->owned = true;
    md_http__count(&req->srv->stats.requests, 1);
    req->srv->opts.handle(req->srv->opts.ctx, req);
}

md_slice md_http__reply_body(const md_http_request *req)
{
    if (req->fixed.data)
        return req->fixed;
    return (md_slice){ (const char *)req->body.data, req->body.size };
}

/* Of the refusals that net/ makes. */
static md_status status_of(int http)
{
    switch (http) {
    case 400:
        return MD_INVALID;
    case 408:
        return MD_TIMEOUT;
    case 503:
        return MD_BUSY;
    default:
        return MD_TOO_LARGE;
    }
}

void md_http__reply_error(md_http_request *req, int status, const char *text)
{
    MD_LOG(MD_LOG_INFO, "request refused", md_log_str("peer", req->peer),
           md_log_int("status", status), md_log_str("error", text));
    req->status = status;
    md_http_reply_reset(req);
    if (req->grpc.on) {
        md_http_reply_end(req, status_of(status), text);
        md_http__grpc_seal(req);
        return;
    }
    if (md_http1_field_write(&req->fields, "Content-Type", "application/json",
                             NULL) != MD_OK ||
        md_buf_printf(&req->body, NULL, "{\"error\":\"%s\"}", text) != MD_OK)
        md_http_reply_reset(req); /* the status alone, then */
}

/* ---- for the owner of a request ---- */

md_slice md_http_request_method(const md_http_request *req)
{
    return req->h2 ? md_http2_method(req->h2) : md_http1_method(req->h1);
}

md_slice md_http_request_path(const md_http_request *req)
{
    return req->h2 ? md_http2_path(req->h2) : md_http1_path(req->h1);
}

md_slice md_http_request_query(const md_http_request *req)
{
    return req->h2 ? md_http2_query(req->h2) : md_http1_query(req->h1);
}

md_slice md_http_request_body(const md_http_request *req)
{
    const char *data;

    if (req->decoded)
        return (md_slice){ (const char *)req->grpc.plain.data,
                           req->grpc.plain.size };
    if (!req->h2)
        return md_http1_body(req->h1);
    data = (const char *)req->h2->body.data;
    if (req->grpc.on)
        return (md_slice){ data + MD_GRPC_PREFIX_SIZE, req->grpc.message.size };
    return (md_slice){ data, req->h2->body.size };
}

md_slice md_http_request_field(const md_http_request *req, const char *name)
{
    return req->h2 ? md_http2_field_get(req->h2, name)
                   : md_http1_field_get(req->h1, name);
}

uint32_t md_http_request_field_count(const md_http_request *req,
                                     const char *name)
{
    return req->h2 ? md_http2_field_count(req->h2, name)
                   : md_http1_field_count(req->h1, name);
}

const char *md_http_request_peer(const md_http_request *req)
{
    return req->peer;
}

bool md_http_request_is_gone(const md_http_request *req)
{
    return atomic_load(&req->gone);
}

md_arena *md_http_request_arena(md_http_request *req)
{
    return &req->arena;
}

void md_http_reply_status(md_http_request *req, int status)
{
    req->status = status;
}

int md_http_reply_status_get(const md_http_request *req)
{
    return req->status;
}

md_status md_http_reply_field(md_http_request *req, const char *name,
                              const char *value, md_error *err)
{
    return md_http1_field_write(&req->fields, name, value, err);
}

md_buf *md_http_reply_body(md_http_request *req)
{
    return &req->body;
}

size_t md_http_reply_size(const md_http_request *req)
{
    return md_http__reply_body(req).size;
}

void md_http_reply_static(md_http_request *req, md_slice body)
{
    req->fixed = body;
}

void md_http_reply_reset(md_http_request *req)
{
    md_buf_reset(&req->fields);
    md_buf_reset(&req->body);
    req->fixed = (md_slice){ NULL, 0 };
    req->grpc.has_message = false;
    req->grpc.ends = false;
}

void md_http_request_finish(md_http_request *req)
{
    assert(req->owned);
    if (req->grpc.on)
        md_http__grpc_seal(req);
    md_loop_post(req->srv->loop, &req->done);
}
