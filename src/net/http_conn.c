/*
 * One connection and its current request.
 *
 *   READING -> BUSY -> WRITING -> READING ...       (kept alive)
 *      |                  |-----> LINGERING -> CLOSED
 *      '-- error reply ---'
 *
 * While it is BUSY the request belongs to the handler; the loop then touches
 * only io, timer and the list.
 */
#include "net/http_conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http1_reply.h"

#define MD_LOG_TAG "net.http"

enum state {
    READING,
    BUSY,
    WRITING,
    LINGERING, /* all is sent; wait for the peer to have read it */
    CLOSED
};

/* Which timer runs while READING. */
enum phase {
    NO_PHASE,
    IDLE,
    HEAD,
    BODY
};

enum {
    FIELDS_SIZE_MAX = 8 * 1024,
    READS_PER_EVENT = 4,
    LINGER_MS = 1000,
    /* While the rest of a refused request comes: there are clients that look
     * for an answer only when they have sent all of it. */
    LINGER_REFUSED_MS = 5000,
    LINGER_SIZE_MAX = 256 * 1024 * 1024,
    DISCARD_SIZE = 64 * 1024,
    KEEP_SIZE_MAX = 256 * 1024 /* memory of an idle connection, each part */
};

struct md_http_request {
    md_loop_io io;
    md_timer timer;
    md_post post; /* finish, and later release */
    md_http_server *srv;
    md_http_request *prev;
    md_http_request *next;
    enum state state;
    enum phase phase;
    size_t progress; /* bytes at the last start of the timer */
    size_t counted;  /* of buffered_bytes */
    uint64_t n_served;
    char peer[MD_ADDRESS_SIZE];
    _Atomic bool gone;

    md_http1 in;
    md_arena arena;

    int status;
    bool keep_alive;
    md_buf fields;
    md_buf body;
    md_slice fixed; /* in place of body */
    md_buf head;
    size_t sent; /* of head and body together */
};

static void advance(md_http_request *c);
static void write_some(md_http_request *c);

static md_http_request *of_io(md_loop_io *io)
{
    return (md_http_request *)((char *)io - offsetof(md_http_request, io));
}

static md_http_request *of_timer(md_timer *t)
{
    return (md_http_request *)((char *)t - offsetof(md_http_request, timer));
}

static md_http_request *of_post(md_post *p)
{
    return (md_http_request *)((char *)p - offsetof(md_http_request, post));
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Tell how much memory request and reply take; the reply is the loop's. */
static void count_buffers(md_http_request *c)
{
    size_t now = md_http1_capacity(&c->in) + c->body.cap;

    count(&c->srv->stats.buffered_bytes, (uint64_t)now - c->counted);
    c->counted = now;
}

/* ---- life ---- */

static void release(md_post *p)
{
    md_http_request *c = of_post(p);
    md_http_server *srv = c->srv;

    md_http1_release(&c->in);
    md_arena_release(&c->arena);
    md_buf_release(&c->fields);
    md_buf_release(&c->body);
    count_buffers(c);
    md_buf_release(&c->head);
    md_free(srv->alloc, c);
    md_http__server_released(srv);
}

void md_http__conn_close(md_http_request *c)
{
    md_http_server *srv = c->srv;

    if (c->io.fd < 0)
        return;
    md_loop_unwatch(srv->loop, &c->io);
    md_timer_stop(&c->timer);
    close(c->io.fd);
    c->io.fd = -1;
    if (c->prev)
        c->prev->next = c->next;
    else
        srv->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    atomic_fetch_sub(&srv->stats.n_open, 1);
    if (c->state == BUSY || c->state == WRITING)
        count(&srv->stats.abandoned, 1);
    if (c->state == BUSY) {
        atomic_store(&c->gone, true);
        return;
    }
    c->state = CLOSED;
    c->post.run = release;
    md_loop_post(srv->loop, &c->post);
}

md_http_request *md_http__conn_next(const md_http_request *c)
{
    return c->next;
}

static bool watch(md_http_request *c, uint32_t events)
{
    if (md_loop_watch(c->srv->loop, &c->io, events, NULL) == MD_OK)
        return true;
    md_http__conn_close(c);
    return false;
}

/* ---- writing ---- */

static md_slice reply_body(const md_http_request *c)
{
    if (c->fixed.data)
        return c->fixed;
    return (md_slice){ (const char *)c->body.data, c->body.size };
}

static void start_write(md_http_request *c)
{
    md_http_server *srv = c->srv;
    const md_http1_reply reply = {
        .status = c->status,
        .fields = { (const char *)c->fields.data, c->fields.size },
        .content_size = reply_body(c).size,
        .keep_alive = c->keep_alive && !srv->draining,
        .minor = c->in.minor,
        .unix_time = md_loop_unix_time(srv->loop),
    };

    c->state = WRITING;
    c->keep_alive = reply.keep_alive;
    c->sent = 0;
    c->progress = 0;
    md_buf_reset(&c->head);
    if (md_http1_reply_write(&c->head, &reply, NULL) != MD_OK) {
        md_http__conn_close(c);
        return;
    }
    md_timer_start(&srv->writes, &c->timer);
    write_some(c);
}

/* Answer what the core refused, or a timeout, and close.  No handler sees
 * it, so it is logged here. */
static void reply_error(md_http_request *c, int status, const char *text)
{
    MD_LOG(MD_LOG_INFO, "request refused", md_log_str("peer", c->peer),
           md_log_int("status", status), md_log_str("error", text));
    c->status = status;
    c->keep_alive = false;
    md_http_reply_reset(c);
    if (md_http1_field_write(&c->fields, "Content-Type", "application/json",
                             NULL) != MD_OK ||
        md_buf_printf(&c->body, NULL, "{\"error\":\"%s\"}", text) != MD_OK)
        md_http_reply_reset(c); /* the status alone, then */
    start_write(c);
}

/* Keep modest memory for the next request, give back the rest. */
static void forget_request(md_http_request *c)
{
    if (c->arena.used > KEEP_SIZE_MAX)
        md_arena_release(&c->arena);
    else
        md_arena_reset(&c->arena);
    if (c->body.cap > KEEP_SIZE_MAX)
        md_buf_release(&c->body);
    md_http_reply_reset(c);
    c->status = 200;
}

static void start_linger(md_http_request *c)
{
    /* Closing with unread bytes would reset the connection, and the reset may
     * overtake the reply. */
    bool complete = md_http1_step(&c->in) == MD_HTTP1_DONE;

    c->state = LINGERING;
    c->progress = 0;
    md_http1_release(&c->in);
    md_buf_release(&c->body);
    count_buffers(c);
    (void)shutdown(c->io.fd, SHUT_WR);
    md_timer_start(complete ? &c->srv->lingers : &c->srv->refusals, &c->timer);
    (void)watch(c, EPOLLIN);
}

static void end_write(md_http_request *c)
{
    c->n_served++;
    if (!c->keep_alive) {
        start_linger(c);
        return;
    }
    forget_request(c);
    md_http1_next(&c->in);
    count_buffers(c);
    c->state = READING;
    c->phase = NO_PHASE;
    md_timer_stop(&c->timer);
    advance(c);
}

/* What is left of head and body into iov; how many pieces. */
static size_t gather(const md_http_request *c, struct iovec iov[2])
{
    md_slice body = reply_body(c);
    size_t at = c->sent;
    size_t n = 0;

    if (md_slice_eq(md_http1_method(&c->in), "HEAD"))
        body.size = 0;
    if (at < c->head.size) {
        iov[n].iov_base = c->head.data + at;
        iov[n++].iov_len = c->head.size - at;
        at = 0;
    } else {
        at -= c->head.size;
    }
    if (at < body.size) {
        /* sendmsg does not write, iovec has no const */
        iov[n].iov_base = (char *)body.data + at;
        iov[n++].iov_len = body.size - at;
    }
    return n;
}

static void write_some(md_http_request *c)
{
    for (;;) {
        struct iovec iov[2];
        struct msghdr msg = { .msg_iov = iov };
        ssize_t n;

        msg.msg_iovlen = gather(c, iov);
        if (msg.msg_iovlen == 0) {
            end_write(c);
            return;
        }
        n = sendmsg(c->io.fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            (void)watch(c, EPOLLOUT);
            return;
        }
        if (n < 0) {
            md_http__conn_close(c);
            return;
        }
        count(&c->srv->stats.sent_bytes, (uint64_t)n);
        c->sent += (size_t)n;
        if (c->sent - c->progress >= MD_HTTP_PROGRESS_SIZE) {
            c->progress = c->sent;
            md_timer_start(&c->srv->writes, &c->timer);
        }
    }
}

/* The handler has finished the request; back on the loop's thread. */
static void on_finish(md_post *p)
{
    md_http_request *c = of_post(p);

    if (c->io.fd < 0) {
        release(p);
        return;
    }
    count_buffers(c);
    start_write(c);
}

/* ---- reading ---- */

static void set_phase(md_http_request *c, enum phase phase)
{
    md_http_server *srv = c->srv;
    md_timer_queue *const queues[] = { NULL, &srv->idles, &srv->heads,
                                       &srv->bodies };
    size_t received = md_http1_body_received(&c->in);

    if (phase == c->phase &&
        (phase != BODY || received - c->progress < MD_HTTP_PROGRESS_SIZE))
        return;
    c->phase = phase;
    c->progress = received;
    md_timer_start(queues[phase], &c->timer);
}

static void wait_for_input(md_http_request *c)
{
    if (!md_http1_is_idle(&c->in)) {
        set_phase(c, md_http1_in_body(&c->in) ? BODY : HEAD);
    } else if (c->n_served == 0) {
        set_phase(c, HEAD); /* who connects has something to say */
    } else if (c->srv->draining) {
        md_http__conn_close(c);
        return;
    } else {
        set_phase(c, IDLE);
        md_http__server_has_room(c->srv);
    }
    (void)watch(c, EPOLLIN);
}

/* False when the connection is closed. */
static bool send_continue(md_http_request *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n;

    if (!c->in.expects_continue || md_http1_has_unread(&c->in))
        return true;
    do {
        n = send(c->io.fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(text) - 1)
        return true;
    /* No room for 25 bytes: the peer does not read its answers. */
    md_http__conn_close(c);
    return false;
}

static void dispatch(md_http_request *c)
{
    md_timer_stop(&c->timer);
    c->state = BUSY;
    c->phase = NO_PHASE;
    c->keep_alive = md_http1_keep_alive(&c->in);
    c->post.run = on_finish;
    count(&c->srv->stats.requests, 1);
    c->srv->opts.handle(c->srv->opts.ctx, c);
}

static void advance(md_http_request *c)
{
    for (;;) {
        switch (md_http1_step(&c->in)) {
        case MD_HTTP1_MORE:
            wait_for_input(c);
            return;
        case MD_HTTP1_HEAD:
            if (!send_continue(c))
                return;
            break;
        case MD_HTTP1_DONE:
            dispatch(c);
            return;
        case MD_HTTP1_ERROR:
            count(&c->srv->stats.rejected, 1);
            reply_error(c, c->in.error_status, c->in.error_text);
            return;
        }
    }
}

/* Bytes into the core; 0: none for now, or the connection is closed. */
static size_t receive(md_http_request *c)
{
    size_t room = 0;
    void *to = md_http1_space(&c->in, &room);
    ssize_t n;

    if (!to) {
        md_http__conn_close(c);
        return 0;
    }
    do {
        n = recv(c->io.fd, to, room, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0) {
        md_http__conn_close(c);
        return 0;
    }
    count(&c->srv->stats.received_bytes, (uint64_t)n);
    md_http1_commit(&c->in, (size_t)n);
    count_buffers(c);
    if (c->counted > KEEP_SIZE_MAX && md_http_server_is_full(c->srv))
        md_http1_refuse(&c->in, 503,
                        "requests and replies of all connections are larger "
                        "than the limit");
    return (size_t)n;
}

static void read_some(md_http_request *c)
{
    for (int i = 0; i < READS_PER_EVENT && c->state == READING; i++) {
        if (receive(c) == 0)
            return;
        advance(c);
    }
}

/* Close it unless a request has come that nobody has looked at yet; false
 * when it goes on. */
static bool close_if_idle(md_http_request *c)
{
    if (c->state != READING || !md_http1_is_idle(&c->in))
        return false;
    read_some(c);
    if (c->state == READING && md_http1_is_idle(&c->in))
        md_http__conn_close(c);
    return c->state == CLOSED;
}

void md_http__conn_drain(md_http_request *c)
{
    (void)close_if_idle(c);
}

bool md_http__conn_evict(md_http_server *srv)
{
    md_timer *t;

    /* One that is not idle after all has left the queue. */
    while ((t = md_timer_first(&srv->idles)))
        if (close_if_idle(of_timer(t))) {
            count(&srv->stats.evicted, 1);
            return true;
        }
    return false;
}

static void discard(md_http_request *c)
{
    char bin[DISCARD_SIZE];
    ssize_t n = recv(c->io.fd, bin, sizeof(bin), 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->progress += n > 0 ? (size_t)n : 0;
    if (n <= 0 || c->progress > LINGER_SIZE_MAX)
        md_http__conn_close(c);
}

static void on_ready(md_loop_io *io, uint32_t events)
{
    md_http_request *c = of_io(io);

    if (events & (EPOLLERR | EPOLLHUP)) {
        md_http__conn_close(c);
        return;
    }
    switch (c->state) {
    case READING:
        read_some(c);
        break;
    case BUSY:
        (void)watch(c, 0); /* later requests stay in the kernel */
        break;
    case WRITING:
        write_some(c);
        break;
    case LINGERING:
        discard(c);
        break;
    case CLOSED:
        break;
    }
}

/* ---- timeouts ---- */

static void on_close_timeout(md_timer *t)
{
    md_http__conn_close(of_timer(t));
}

static void on_read_timeout(md_timer *t)
{
    md_http_request *c = of_timer(t);

    count(&c->srv->stats.timeouts, 1);
    if (md_http1_is_idle(&c->in))
        md_http__conn_close(c); /* never said a word */
    else
        reply_error(c, 408, "request did not come in time");
}

static void on_write_timeout(md_timer *t)
{
    md_http_request *c = of_timer(t);

    count(&c->srv->stats.timeouts, 1);
    md_http__conn_close(c);
}

void md_http__conn_queues_init(md_http_server *srv)
{
    const md_http_server_opts *o = &srv->opts;

    md_timer_queue_init(&srv->heads, srv->loop, o->head_timeout_ms,
                        on_read_timeout);
    md_timer_queue_init(&srv->bodies, srv->loop, o->body_timeout_ms,
                        on_read_timeout);
    md_timer_queue_init(&srv->writes, srv->loop, o->write_timeout_ms,
                        on_write_timeout);
    md_timer_queue_init(&srv->idles, srv->loop, o->idle_timeout_ms,
                        on_close_timeout);
    md_timer_queue_init(&srv->lingers, srv->loop, LINGER_MS, on_close_timeout);
    md_timer_queue_init(&srv->refusals, srv->loop, LINGER_REFUSED_MS,
                        on_close_timeout);
}

void md_http__conn_open(md_http_server *srv, int fd, const struct sockaddr *sa,
                        socklen_t sa_size)
{
    md_http_request *c = md_calloc(srv->alloc, 1, sizeof(*c));

    if (!c ||
        md_http1_init(&c->in, &srv->opts.limits, srv->alloc, NULL) != MD_OK) {
        md_free(srv->alloc, c);
        close(fd);
        count(&srv->stats.accept_failures, 1);
        return;
    }
    c->io = (md_loop_io){ .fd = fd, .ready = on_ready };
    c->srv = srv;
    c->status = 200;
    md_address_format(c->peer, sa, sa_size);
    md_arena_init(&c->arena, srv->alloc, srv->opts.arena_size_max);
    md_buf_init(&c->fields, srv->alloc, FIELDS_SIZE_MAX);
    md_buf_init(&c->body, srv->alloc, srv->opts.reply_size_max);
    md_buf_init(&c->head, srv->alloc, (size_t)2 * FIELDS_SIZE_MAX);
    c->next = srv->conns;
    if (c->next)
        c->next->prev = c;
    srv->conns = c;
    srv->n_conns++;
    count(&srv->stats.accepted, 1);
    count(&srv->stats.n_open, 1);
    wait_for_input(c);
}

/* ---- for the owner of a request ---- */

md_slice md_http_request_method(const md_http_request *req)
{
    return md_http1_method(&req->in);
}

md_slice md_http_request_path(const md_http_request *req)
{
    return md_http1_path(&req->in);
}

md_slice md_http_request_query(const md_http_request *req)
{
    return md_http1_query(&req->in);
}

md_slice md_http_request_body(const md_http_request *req)
{
    return md_http1_body(&req->in);
}

md_slice md_http_request_field(const md_http_request *req, const char *name)
{
    return md_http1_field_get(&req->in, name);
}

uint32_t md_http_request_field_count(const md_http_request *req,
                                     const char *name)
{
    return md_http1_field_count(&req->in, name);
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
    return reply_body(req).size;
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
}

void md_http_request_finish(md_http_request *req)
{
    assert(req->state == BUSY);
    md_loop_post(req->srv->loop, &req->post);
}
