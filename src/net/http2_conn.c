/*
 * A connection that speaks HTTP/2: the core of http2.c between the socket and
 * the requests of its streams.
 *
 * Bytes are read as they come and handed to the core, which calls the hooks
 * below.  Nothing is sent there and then: whatever may have made output marks
 * its connection, and all of them send at the end of the loop's turn, so that
 * the answers of one turn leave in one write.  While the socket takes no more
 * nothing is read either, so what the core wants to send is bounded by what
 * one turn can read.
 */
#include <assert.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "net/http_conn.h"

#define MD_LOG_TAG "net.http"

enum {
    READS_PER_EVENT = 4,
    READ_SIZE = 64 * 1024,
    OUT_SIZE = 64 * 1024,
    OUT_SIZE_MAX = 4 * OUT_SIZE, /* with the last frame, and replies' heads */
    WRITES_PER_TURN = 16,
    REST_MS = 5000, /* for the rest of a request that is answered */
    SPARES_MAX = 256,
    SPARE_SIZE_MAX = 2 * 1024 * 1024, /* of the parts of one spare request */
    SPARES_SIZE_MAX = 16 * 1024 * 1024,
    SPARES_SHARE = 8, /* one part in so many of what all buffers may take */
    /* Streams whose client has gone may still be with the handler. */
    REQUESTS_MAX = 2 * MD_HTTP2_STREAMS_MAX
};

typedef struct md_http2_request md_http2_request;
struct md_http2_request {
    md_http_request req;
    md_http2_stream stream;
    md_timer timer;
    md_http2_conn *conn;
    md_http2_request *next; /* spare one */
    size_t progress;        /* bytes at the last start of the timer */
};

struct md_http2_conn {
    md_http_conn *conn;
    md_http2 *core;
    uint32_t n_requests; /* with an open stream, or with the handler */
    uint32_t n_owned;    /* with the handler */
    uint32_t n_waiting;  /* streams that wait for their clients */
    md_buf out;
    size_t sent;     /* of out */
    int32_t head_of; /* whose head the timer is for */
    bool blocked;    /* the socket takes no more */
    bool closing;    /* nothing is read any more */
    bool is_dirty;   /* in srv->dirty */
    md_http2_conn *next_dirty;
};

static void next_turn(md_http2_request *r);

static md_http2_request *of_stream(md_http2_stream *s)
{
    return (md_http2_request *)((char *)s - offsetof(md_http2_request, stream));
}

static md_http2_request *of_timer(md_timer *t)
{
    return (md_http2_request *)((char *)t - offsetof(md_http2_request, timer));
}

static void mark(md_http2_conn *h)
{
    md_http_server *srv = h->conn->srv;

    if (h->is_dirty)
        return;
    h->is_dirty = true;
    h->next_dirty = srv->dirty;
    srv->dirty = h;
}

/* ---- requests ---- */

static void count_buffers(md_http2_request *r)
{
    md_http__request_count(&r->req, r->stream.head.cap + r->stream.body.cap +
                                        r->stream.later.cap);
}

static void free_request(md_http2_request *r)
{
    md_http_server *srv = r->req.srv;

    md_http2_stream_release(&r->stream);
    md_http__request_release(&r->req);
    md_free(srv->alloc, r);
}

static void set_waits(md_http2_request *r, bool waits)
{
    if (r->req.grpc.waits == waits)
        return;
    r->req.grpc.waits = waits;
    r->conn->n_waiting += waits ? 1 : -1U;
}

/* Bytes that a spare request keeps. */
static size_t kept_size(const md_http2_request *r)
{
    return r->stream.head.cap + r->stream.body.cap + r->req.body.cap;
}

/* Bytes that all spare ones may keep: so much that a few large tensors in turn
 * find their memory again, whose pages cost more than all else of such calls. */
static size_t kept_max(const md_http_server *srv)
{
    const size_t share = srv->opts.buffers_size_max / SPARES_SHARE;

    return share < SPARES_SIZE_MAX ? share : SPARES_SIZE_MAX;
}

/* Stream and handler are done with it. */
static void drop_request(md_http2_request *r)
{
    md_http_server *srv = r->req.srv;
    const bool fits = srv->spares_size + kept_size(r) <= kept_max(srv);

    set_waits(r, false);
    r->conn->n_requests--;
    r->conn = NULL;
    md_timer_stop(&r->timer);
    if (srv->n_spares == SPARES_MAX) {
        free_request(r);
        return;
    }
    md_http__request_reset(&r->req, fits ? SPARE_SIZE_MAX : 0);
    if (!fits) {
        md_buf_release(&r->stream.body);
        md_buf_release(&r->stream.head);
    }
    md_http2_stream_reset(&r->stream);
    atomic_store(&r->req.gone, false);
    count_buffers(r);
    r->next = srv->spares;
    srv->spares = r;
    srv->n_spares++;
    srv->spares_size += kept_size(r);
}

static void start_answer(md_http2_request *r)
{
    md_http_server *srv = r->req.srv;
    md_slice body = md_http__reply_body(&r->req);
    const md_http2_reply reply = {
        .status = r->req.status,
        .fields = { (const char *)r->req.fields.data, r->req.fields.size },
        .body = md_slice_eq(md_http2_method(&r->stream), "HEAD")
                    ? (md_slice){ NULL, 0 }
                    : body,
        .has_length = true,
        .content_size = body.size,
        .date = md_http__date(srv),
    };

    (void)md_http2_answer(&r->stream, &reply, NULL); /* else it is reset */
}

static void start_grpc_answer(md_http2_request *r)
{
    md_http__grpc *g = &r->req.grpc;
    md_slice body = { (const char *)r->req.body.data, r->req.body.size };
    md_http2_reply reply = { .status = 200 };

    if (!g->has_message) {
        reply.fields = md_http__grpc_only(&r->req);
        (void)md_http2_answer(&r->stream, &reply, NULL);
        return;
    }
    reply.fields = md_http__grpc_head(&r->req);
    reply.body = body;
    reply.more = true;
    g->started = md_http2_answer(&r->stream, &reply, NULL) == MD_OK;
    if (g->started && g->ends)
        md_http2_end(&r->stream, md_http__grpc_trailers(&r->req));
}

static void go_on_with_grpc(md_http2_request *r)
{
    md_http__grpc *g = &r->req.grpc;

    if (g->has_message)
        md_http2_send(&r->stream, (md_slice){ (const char *)r->req.body.data,
                                              r->req.body.size });
    if (g->ends)
        md_http2_end(&r->stream, md_http__grpc_trailers(&r->req));
}

/* The reply, or its next part, is complete: on its way with it. */
static void submit(md_http2_request *r)
{
    const md_http__grpc *g = &r->req.grpc;

    mark(r->conn);
    if (g->on && !g->has_message && !g->ends) {
        next_turn(r);
        return;
    }
    r->progress = r->stream.sent;
    md_timer_start(&r->req.srv->stream_writes, &r->timer);
    if (!g->on)
        start_answer(r);
    else if (!g->started)
        start_grpc_answer(r);
    else
        go_on_with_grpc(r);
}

static void hand_out(md_http2_request *r)
{
    md_timer_stop(&r->timer);
    r->conn->n_owned++;
    md_http__request_hand_out(&r->req);
}

/* ---- messages of gRPC ---- */

static void tell(md_http2_request *r, md_http_event event)
{
    r->req.grpc.event = event;
    set_waits(r, false);
    r->stream.held = true; /* of a stream, more may come meanwhile */
    hand_out(r);
}

static void fail_grpc(md_http2_request *r, md_status s, const char *text)
{
    set_waits(r, false);
    md_http__count(&r->req.srv->stats.rejected, 1);
    md_http2_drop(&r->stream);
    md_http_reply_reset(&r->req);
    md_http_reply_end(&r->req, s, text);
    submit(r);
}

/* No message is there as a whole: what is to be done until one is? */
static void await_message(md_http2_request *r)
{
    md_http__grpc *g = &r->req.grpc;
    const md_http2_stream *s = &r->stream;
    md_http_server *srv = r->req.srv;

    if (s->is_complete && s->body.size) {
        fail_grpc(r, MD_CORRUPT, "gRPC message is cut short");
    } else if (s->is_complete && !g->streams) {
        fail_grpc(r, MD_UNSUPPORTED, "no gRPC message given, one expected");
    } else if (s->is_complete && !g->told_half) {
        g->told_half = true;
        tell(r, MD_HTTP_HALF);
    } else if (s->body.size == 0 && g->streams) {
        md_timer_stop(&r->timer);
        set_waits(r, true);
    } else if (!md_timer_runs(&r->timer) ||
               s->body.size - r->progress >= MD_HTTP_PROGRESS_SIZE) {
        r->progress = s->body.size;
        set_waits(r, false);
        md_timer_start(&srv->stream_bodies, &r->timer);
    }
}

/* Neither the handler nor the reply keeps the stream: is there a message, or
 * something else to tell the handler? */
static void look(md_http2_request *r)
{
    md_http__grpc *g = &r->req.grpc;
    const md_buf *body = &r->stream.body;
    const bool drains = r->req.srv->draining && !g->told_drain;
    md_error err = MD_ERROR_INIT;
    bool there = false;
    size_t size;

    if (g->holds && !drains) {
        set_waits(r, true);
        return;
    }
    if (g->holds || (drains && g->streams && body->size == 0)) {
        g->told_drain = true;
        tell(r, MD_HTTP_DRAIN);
        return;
    }
    if (md_grpc_prefix(&g->message, &there,
                       (md_slice){ (const char *)body->data, body->size },
                       r->req.srv->opts.limits.body_size_max, &err) != MD_OK) {
        fail_grpc(r, err.status, err.msg);
        return;
    }
    size = MD_GRPC_PREFIX_SIZE + (size_t)g->message.size;
    if (!there || body->size < size) {
        await_message(r);
    } else if (!g->streams && body->size > size) {
        fail_grpc(r, MD_UNSUPPORTED,
                  "several gRPC messages given, one "
                  "expected");
    } else if (g->streams || r->stream.is_complete) {
        tell(r, MD_HTTP_MESSAGE);
    }
}

/* The reply's message is gone, the stream goes on. */
static void next_turn(md_http2_request *r)
{
    md_http__grpc *g = &r->req.grpc;

    if (g->event == MD_HTTP_MESSAGE && !g->holds)
        md_buf_consume(&r->stream.body,
                       MD_GRPC_PREFIX_SIZE + (size_t)g->message.size);
    md_timer_stop(&r->timer);
    md_http__grpc_next(&r->req);
    if (md_http2_let_go(&r->stream, NULL) != MD_OK) {
        fail_grpc(r, MD_NOMEM, "out of memory");
        return;
    }
    md_http2_consume(&r->stream);
    count_buffers(r);
    look(r);
}

/* Does the handler have it, or is a reply still to be sent? */
static bool is_busy(const md_http2_request *r)
{
    const md_http__grpc *g = &r->req.grpc;

    return r->req.owned || g->ends || (g->started && r->stream.out.size > 0);
}

/* ---- the end of a request ---- */

/* The handler has finished the request; back on the loop's thread. */
static void on_finish(md_post *p)
{
    md_http_request *req =
        (md_http_request *)((char *)p - offsetof(md_http_request, done));
    md_http2_request *r =
        (md_http2_request *)((char *)req - offsetof(md_http2_request, req));
    md_http2_conn *h = r->conn;

    req->owned = false;
    h->n_owned--;
    if (r->stream.core) {
        count_buffers(r);
        submit(r);
        return;
    }
    drop_request(r);
    if (h->conn->io.fd < 0 && h->n_owned == 0)
        md_http__conn_release(h->conn);
}

static md_http2_request *new_request(md_http_server *srv)
{
    md_http2_request *r = srv->spares;

    if (r) {
        srv->spares = r->next;
        srv->n_spares--;
        srv->spares_size -= kept_size(r);
        return r;
    }
    r = md_calloc(srv->alloc, 1, sizeof(*r));
    if (!r)
        return NULL;
    md_http2_stream_init(&r->stream, srv->alloc, &srv->opts.limits);
    md_http__request_init(&r->req, srv, NULL);
    r->req.h2 = &r->stream;
    r->req.done.run = on_finish;
    return r;
}

void md_http__h2_spares_free(md_http_server *srv)
{
    while (srv->spares) {
        md_http2_request *r = srv->spares;

        srv->spares = r->next;
        free_request(r);
    }
}

/* ---- what the core calls ---- */

static md_http2_stream *on_open(void *ctx)
{
    md_http2_conn *h = ctx;
    md_http2_request *r;

    if (h->n_requests >= REQUESTS_MAX)
        return NULL;
    r = new_request(h->conn->srv);
    if (!r)
        return NULL;
    r->conn = h;
    r->req.peer = h->conn->peer;
    r->progress = 0;
    h->n_requests++;
    return &r->stream;
}

static void on_refuse(void *ctx, md_http2_stream *s, int status,
                      const char *text)
{
    md_http2_request *r = of_stream(s);

    (void)ctx;
    if (is_busy(r)) { /* out of memory in the middle of something */
        md_http2_cancel(s, false);
        return;
    }
    if (!r->req.grpc.on)
        (void)md_http__grpc_begin(&r->req, NULL);
    set_waits(r, false);
    md_http__count(&r->req.srv->stats.rejected, 1);
    md_http__reply_error(&r->req, status, text);
    submit(r);
}

static void on_head(void *ctx, md_http2_stream *s)
{
    md_http2_request *r = of_stream(s);
    md_error err = MD_ERROR_INIT;

    (void)ctx;
    if (md_http__grpc_begin(&r->req, &err) != MD_OK) {
        fail_grpc(r, err.status, err.msg);
        return;
    }
    if (!r->req.grpc.on && r->conn->conn->grpc_only) {
        md_http2_refuse(s, 415, MD_HTTP__GRPC_ONLY);
        return;
    }
    s->framed = r->req.grpc.on;
    if (s->expects_continue)
        md_http2_continue(s);
    if (!s->is_complete)
        md_timer_start(&r->req.srv->stream_bodies, &r->timer);
}

static void on_data(void *ctx, md_http2_stream *s)
{
    md_http2_request *r = of_stream(s);
    md_http_server *srv = r->req.srv;

    (void)ctx;
    if (r->req.grpc.on && is_busy(r))
        return; /* it stays in the window */
    md_http2_consume(s);
    count_buffers(r);
    if (s->body.size > MD_HTTP__KEEP_SIZE_MAX && md_http_server_is_full(srv)) {
        md_http2_refuse(s, 503,
                        "requests and replies of all connections are larger "
                        "than the limit");
    } else if (r->req.grpc.on) {
        look(r);
    } else if (s->is_complete) {
        hand_out(r);
    } else if (s->body.size - r->progress >= MD_HTTP_PROGRESS_SIZE) {
        r->progress = s->body.size;
        md_timer_start(&srv->stream_bodies, &r->timer);
    }
}

static void on_taken(void *ctx, md_http2_stream *s)
{
    md_http2_request *r = of_stream(s);
    const md_http__grpc *g = &r->req.grpc;

    (void)ctx;
    if (g->on && s->out.size == 0 && !g->ends) {
        next_turn(r);
    } else if (s->sent - r->progress >= MD_HTTP_PROGRESS_SIZE) {
        r->progress = s->sent;
        md_timer_start(&r->req.srv->stream_writes, &r->timer);
    }
}

/* There are clients that look for an answer only when they have sent all. */
static void on_answered(void *ctx, md_http2_stream *s)
{
    md_http2_request *r = of_stream(s);

    (void)ctx;
    md_timer_start(&r->req.srv->stream_rests, &r->timer);
}

static void on_close(void *ctx, md_http2_stream *s)
{
    md_http2_request *r = of_stream(s);

    (void)ctx;
    if (r->req.owned || !(s->is_answered || r->req.grpc.waits))
        md_http__count(&r->req.srv->stats.abandoned, s->has_head);
    if (r->req.owned) {
        md_timer_stop(&r->timer);
        atomic_store(&r->req.gone, true);
    } else {
        drop_request(r);
    }
}

static const md_http2_hooks HOOKS = { on_open,  on_head,     on_data, on_refuse,
                                      on_taken, on_answered, on_close };

/* ---- life ---- */

static void feed(md_http2_conn *h, const void *bytes, size_t n)
{
    md_http_conn *c = h->conn;
    md_error err = MD_ERROR_INIT;

    if (md_http2_receive(h->core, bytes, n, md_loop_now_ms(c->srv->loop),
                         &err) == MD_OK)
        return;
    h->closing = true;
    md_http__count(&c->srv->stats.rejected, 1);
    md_http__count(&c->srv->stats.floods, md_http2_is_flooded(h->core));
    MD_LOG(MD_LOG_INFO, "connection refused", md_log_str("peer", c->peer),
           md_log_error(&err));
}

void md_http__h2_begin(md_http_conn *c)
{
    md_http_server *srv = c->srv;
    md_http2_conn *h = md_calloc(srv->alloc, 1, sizeof(*h));
    md_slice first = md_http1_unread(&c->in);

    if (!h) {
        md_http__conn_close(c);
        return;
    }
    h->conn = c;
    md_buf_init(&h->out, srv->alloc, OUT_SIZE_MAX);
    if (md_http2_new(&h->core, &srv->opts.limits, &HOOKS, h, srv->alloc,
                     NULL) != MD_OK) {
        md_free(srv->alloc, h);
        md_http__conn_close(c);
        return;
    }
    c->h2 = h;
    feed(h, first.data, first.size);
    md_http1_release(&c->in);
    md_http__request_count(&c->req, 0);
    mark(h);
}

static void unmark(md_http2_conn *h)
{
    md_http2_conn **at = &h->conn->srv->dirty;

    if (!h->is_dirty)
        return;
    while (*at != h)
        at = &(*at)->next_dirty;
    *at = h->next_dirty;
    h->is_dirty = false;
}

bool md_http__h2_closed(md_http_conn *c)
{
    md_http2_conn *h = c->h2;

    unmark(h);
    md_http2_free(h->core);
    h->core = NULL;
    c->state = MD_HTTP_CONN_CLOSED;
    return h->n_owned == 0;
}

void md_http__h2_release(md_http_conn *c)
{
    if (!c->h2)
        return;
    assert(c->h2->n_requests == 0);
    md_buf_release(&c->h2->out);
    md_free(c->srv->alloc, c->h2);
    c->h2 = NULL;
}

/* ---- writing ---- */

/* Send what is in out; false when the connection is closed. */
static bool send_out(md_http2_conn *h)
{
    md_http_conn *c = h->conn;

    while (h->sent < h->out.size) {
        const struct iovec iov = { h->out.data + h->sent,
                                   h->out.size - h->sent };
        size_t n = md_http__conn_send(c, &iov, 1);

        if (n == 0) {
            h->blocked = true;
            return c->io.fd >= 0;
        }
        h->sent += n;
        c->progress += n;
        if (c->progress >= MD_HTTP_PROGRESS_SIZE) {
            c->progress = 0;
            if (c->phase == MD_HTTP_CONN_WRITE)
                md_timer_start(&c->srv->writes, &c->timer);
        }
    }
    h->sent = 0;
    md_buf_reset(&h->out);
    return true;
}

static void set_phase(md_http2_conn *h)
{
    md_http_conn *c = h->conn;
    const int32_t head = md_http2_head_of(h->core);

    if (h->blocked) {
        md_http__conn_phase(c, MD_HTTP_CONN_WRITE);
    } else if (head || md_http2_is_new(h->core)) {
        if (head != h->head_of) /* each has its own time */
            md_http__conn_phase(c, MD_HTTP_CONN_NO_PHASE);
        h->head_of = head;
        md_http__conn_phase(c, MD_HTTP_CONN_HEAD);
    } else if (md_http2_n_streams(h->core) > h->n_waiting) {
        md_http__conn_phase(c, MD_HTTP_CONN_NO_PHASE);
    } else {
        md_http__conn_phase(c, h->n_waiting ? MD_HTTP_CONN_WAIT
                                            : MD_HTTP_CONN_IDLE);
        md_http__server_has_room(c->srv);
    }
}

/* All that is to be sent is on its way, or the socket is full. */
static void after_flush(md_http2_conn *h, bool more)
{
    md_http_conn *c = h->conn;

    if (!h->blocked && !more && (h->closing || md_http2_is_over(h->core))) {
        md_http__conn_linger(c, md_http2_n_streams(h->core) > 0 &&
                                    !md_http2_is_flooded(h->core));
        return;
    }
    set_phase(h);
    (void)md_http__conn_watch(c, h->blocked || more ? EPOLLOUT : EPOLLIN);
}

static void flush(md_http2_conn *h)
{
    md_http_conn *c = h->conn;
    bool more = true;

    h->blocked = false;
    for (int i = 0; more && i < WRITES_PER_TURN; i++) {
        if (!send_out(h))
            return;
        if (h->blocked)
            break;
        if (c->srv->draining && md_http2_n_streams(h->core) == 0)
            md_http2_goaway(h->core, true);
        if (md_http2_pull(h->core, &h->out, OUT_SIZE, NULL) != MD_OK) {
            md_http__conn_close(c);
            return;
        }
        more = h->out.size > 0;
    }
    after_flush(h, more);
}

void md_http__h2_flush_all(void *ctx)
{
    md_http_server *srv = ctx;

    while (srv->dirty) {
        md_http2_conn *h = srv->dirty;

        srv->dirty = h->next_dirty;
        h->is_dirty = false;
        if (h->conn->state == MD_HTTP_CONN_READING)
            flush(h);
    }
}

/* ---- reading ---- */

static void read_some(md_http2_conn *h)
{
    md_http_conn *c = h->conn;
    char bytes[READ_SIZE];

    for (int i = 0; i < READS_PER_EVENT && !h->closing; i++) {
        size_t n = md_http__conn_recv(c, bytes, sizeof(bytes));

        if (n == 0)
            return;
        feed(h, bytes, n);
        if (n < sizeof(bytes))
            return;
    }
}

void md_http__h2_ready(md_http_conn *c, uint32_t events)
{
    (void)events;
    if (!c->h2->blocked)
        read_some(c->h2);
    if (c->io.fd >= 0)
        mark(c->h2);
}

/* ---- endings ---- */

/* Tell the peer, as far as the socket takes it, and close. */
static void say_goodbye(md_http2_conn *h)
{
    md_http2_goaway(h->core, true);
    h->closing = true;
    mark(h);
}

void md_http__h2_close_if_idle(md_http_conn *c)
{
    md_http2_conn *h = c->h2;

    read_some(h);
    if (c->io.fd < 0)
        return;
    set_phase(h);
    if (c->phase != MD_HTTP_CONN_IDLE && c->phase != MD_HTTP_CONN_WAIT)
        return;
    md_http2_goaway(h->core, true);
    if (md_http2_pull(h->core, &h->out, OUT_SIZE, NULL) != MD_OK || send_out(h))
        md_http__conn_close(c);
}

void md_http__h2_drain(md_http_conn *c)
{
    if (c->state != MD_HTTP_CONN_READING)
        return;
    if (md_http2_n_streams(c->h2->core) > 0)
        md_http2_goaway(c->h2->core, false);
    for (md_http2_stream *s = md_http2_streams(c->h2->core); s; s = s->next)
        if (of_stream(s)->req.grpc.waits)
            look(of_stream(s));
    mark(c->h2);
}

void md_http__h2_timeout(md_http_conn *c)
{
    c->phase = MD_HTTP_CONN_NO_PHASE;
    say_goodbye(c->h2);
}

static void on_body_timeout(md_timer *t)
{
    md_http2_request *r = of_timer(t);

    md_http__count(&r->req.srv->stats.timeouts, 1);
    md_http2_refuse(&r->stream, 408, "request did not come in time");
}

static void on_write_timeout(md_timer *t)
{
    md_http2_request *r = of_timer(t);

    md_http__count(&r->req.srv->stats.timeouts, 1);
    md_http2_cancel(&r->stream, true);
    mark(r->conn);
}

static void on_rest_timeout(md_timer *t)
{
    md_http2_request *r = of_timer(t);

    md_http2_stop(&r->stream);
    mark(r->conn);
}

void md_http__h2_queues_init(md_http_server *srv)
{
    md_timer_queue_init(&srv->stream_rests, srv->loop, REST_MS,
                        on_rest_timeout);
    md_timer_queue_init(&srv->stream_bodies, srv->loop,
                        srv->opts.body_timeout_ms, on_body_timeout);
    md_timer_queue_init(&srv->stream_writes, srv->loop,
                        srv->opts.write_timeout_ms, on_write_timeout);
}
