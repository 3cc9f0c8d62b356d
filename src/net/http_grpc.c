/* Requests of gRPC: their messages, and the two ends of their replies. */
#include <assert.h>

#include "base/clock.h"
#include "net/http1_reply.h"
#include "net/http_conn.h"

#define TYPE_LINE "content-type: application/grpc\r\n"
#define NOMEM_LINE "grpc-status: 8\r\n" /* what there is no memory to say */
#define OK_LINE "grpc-status: 0\r\n"

enum {
    COMPRESS_SIZE_MIN = 1024 /* less is not worth the work */
};

/* ---- for connections ---- */

md_status md_http__grpc_begin(md_http_request *req, md_error *err)
{
    md_http__grpc *g = &req->grpc;
    const md_http_server_opts *o = &req->srv->opts;
    md_slice timeout;
    int64_t ns;

    g->on = md_grpc_is_type(md_http_request_field(req, "content-type"));
    if (!g->on)
        return MD_OK;
    g->deadline_ns = INT64_MAX;
    g->streams =
        o->is_stream && o->is_stream(o->ctx, md_http_request_path(req));
    MD_TRY(md_grpc_coding_parse(
        &g->in, md_http_request_field(req, "grpc-encoding"), err));
    if (md_grpc_accepts(md_http_request_field(req, "grpc-accept-encoding"),
                        g->in))
        g->out = g->in;
    timeout = md_http_request_field(req, "grpc-timeout");
    if (!timeout.data)
        return MD_OK;
    MD_TRY(md_grpc_timeout(&ns, timeout, err));
    g->deadline_ns = md_clock_ns();
    g->deadline_ns =
        ns > INT64_MAX - g->deadline_ns ? INT64_MAX : g->deadline_ns + ns;
    return MD_OK;
}

/* The reply's message compressed; it stays as it is when memory is short. */
static bool compress(md_http_request *req)
{
    md_http__grpc *g = &req->grpc;
    const unsigned char zeros[MD_GRPC_PREFIX_SIZE] = { 0 };
    const md_slice message = { (const char *)req->body.data +
                                   MD_GRPC_PREFIX_SIZE,
                               req->body.size - MD_GRPC_PREFIX_SIZE };
    md_buf coded;

    if (g->out == MD_CODING_IDENTITY || message.size < COMPRESS_SIZE_MIN)
        return false;
    md_buf_init(&coded, req->body.alloc, req->body.limit);
    if (md_buf_append(&coded, zeros, sizeof(zeros), NULL) != MD_OK ||
        md_coding_encode(&coded, g->out, message, NULL) != MD_OK) {
        md_buf_release(&coded);
        return false;
    }
    md_buf_release(&req->body);
    req->body = coded;
    return true;
}

void md_http__grpc_seal(md_http_request *req)
{
    md_http__grpc *g = &req->grpc;
    bool compressed;

    if (!g->streams && !g->ends)
        md_http_reply_end(req, MD_OK, NULL);
    if (!g->has_message)
        return;
    compressed = compress(req);
    if (req->body.size - MD_GRPC_PREFIX_SIZE > UINT32_MAX) {
        md_http_reply_end(req, MD_TOO_LARGE, "reply of 4 GiB or more");
        return;
    }
    md_grpc_prefix_write(req->body.data, compressed,
                         req->body.size - MD_GRPC_PREFIX_SIZE);
}

md_slice md_http__grpc_head(const md_http_request *req)
{
    static const char *const heads[] = { TYPE_LINE,
                                         TYPE_LINE "grpc-encoding: gzip\r\n",
                                         TYPE_LINE
                                         "grpc-encoding: deflate\r\n" };

    return md_slice_of(heads[req->grpc.out]);
}

md_slice md_http__grpc_trailers(const md_http_request *req)
{
    if (req->fields.size == 0)
        return md_slice_of(NOMEM_LINE);
    return (md_slice){ (const char *)req->fields.data, req->fields.size };
}

md_slice md_http__grpc_only(md_http_request *req)
{
    if (req->fields.size == 0 ||
        md_buf_puts(&req->fields, TYPE_LINE, NULL) != MD_OK)
        return md_slice_of(NOMEM_LINE TYPE_LINE);
    return (md_slice){ (const char *)req->fields.data, req->fields.size };
}

void md_http__grpc_next(md_http_request *req)
{
    md_buf_reset(&req->grpc.plain);
    md_arena_reset(&req->arena);
    md_http_reply_reset(req);
}

/* ---- for the owner of a request ---- */

bool md_http_request_is_grpc(const md_http_request *req)
{
    return req->grpc.on;
}

md_http_event md_http_request_event(const md_http_request *req)
{
    return req->grpc.event;
}

int64_t md_http_request_deadline_ns(const md_http_request *req)
{
    return req->grpc.on ? req->grpc.deadline_ns : INT64_MAX;
}

md_status md_http_request_message(md_http_request *req, md_slice *out,
                                  md_error *err)
{
    md_http__grpc *g = &req->grpc;

    assert(g->on);
    *out = md_http_request_body(req);
    if (!g->message.compressed)
        return MD_OK;
    md_buf_reset(&g->plain);
    if (g->in == MD_CODING_IDENTITY)
        return md_fail(err, MD_CORRUPT,
                       "compressed gRPC message without grpc-encoding");
    MD_TRY(md_coding_decode(&g->plain, g->in, *out, err));
    *out = (md_slice){ (const char *)g->plain.data, g->plain.size };
    return MD_OK;
}

md_status md_http_reply_message(md_http_request *req, md_buf **out,
                                md_error *err)
{
    static const unsigned char zeros[MD_GRPC_PREFIX_SIZE];

    assert(req->grpc.on);
    md_buf_reset(&req->body);
    MD_TRY(md_buf_append(&req->body, zeros, sizeof(zeros), err));
    req->grpc.has_message = true;
    *out = &req->body;
    return MD_OK;
}

void md_http_reply_end(md_http_request *req, md_status s, const char *text)
{
    md_http__grpc *g = &req->grpc;
    md_status told;

    md_buf_reset(&req->fields);
    g->ends = true;
    if (s == MD_OK) {
        (void)md_buf_puts(&req->fields, OK_LINE, NULL);
        return;
    }
    g->has_message = false;
    told = md_buf_printf(&req->fields, NULL, "grpc-status: %d\r\n",
                         md_status_grpc(s));
    if (told == MD_OK && text && *text) {
        const size_t size = req->fields.size;

        told = md_buf_puts(&req->fields, "grpc-message: ", NULL);
        if (told == MD_OK)
            told = md_grpc_text_write(&req->fields, text, NULL);
        if (told == MD_OK)
            told = md_buf_puts(&req->fields, "\r\n", NULL);
        if (told != MD_OK) /* the status alone, then */
            req->fields.size = size;
    }
}

void md_http_reply_hold(md_http_request *req)
{
    req->grpc.holds = true;
}
