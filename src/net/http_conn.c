/*
 * One connection, and its requests as HTTP/1.1 has them: one at a time.
 *
 *   READING -> BUSY -> WRITING -> READING ...       (kept alive)
 *      |                  |-----> LINGERING -> CLOSED
 *      '-- error reply ---'
 *
 * While it is BUSY the request belongs to the handler; the loop then touches
 * only io, timer and the list.
 *
 * A PROXY header (http_proxy.c) and the handshake of TLS (http_tls.c) may come
 * first, state READING.
 *
 * A connection whose first bytes are HTTP/2's preface goes on in
 * http2_conn.c, state READING; then only what is said of sockets, lists and
 * closing here is true of it.
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

enum {
    READS_PER_EVENT = 4,
    LINGER_MS = 1000,
    /* While the rest of a refused request comes: there are clients that look
     * for an answer only when they have sent all of it. */
    LINGER_REFUSED_MS = 5000,
    LINGER_SIZE_MAX = 256 * 1024 * 1024,
    DISCARD_SIZE = 64 * 1024
};

static void advance(md_http_conn *c);
static void write_some(md_http_conn *c);

static md_http_conn *of_io(md_loop_io *io)
{
    return (md_http_conn *)((char *)io - offsetof(md_http_conn, io));
}

static md_http_conn *of_timer(md_timer *t)
{
    return (md_http_conn *)((char *)t - offsetof(md_http_conn, timer));
}

static md_http_conn *of_post(md_post *p)
{
    return (md_http_conn *)((char *)p - offsetof(md_http_conn, post));
}

static void count_buffers(md_http_conn *c)
{
    md_http__request_count(&c->req, md_http1_capacity(&c->in));
}

/* ---- life ---- */

static void release(md_post *p)
{
    md_http__conn_release(of_post(p));
}

void md_http__conn_release(md_http_conn *c)
{
    md_http_server *srv = c->srv;

    if (c->resuming) { /* that post comes before this one */
        c->post.run = release;
        md_loop_post(srv->loop, &c->post);
        return;
    }
    md_http__h2_release(c);
    md_http1_release(&c->in);
    md_http__request_release(&c->req);
    md_buf_release(&c->head);
    md_free(srv->alloc, c);
    md_http__server_released(srv);
}

void md_http__conn_close(md_http_conn *c)
{
    md_http_server *srv = c->srv;

    if (c->io.fd < 0)
        return;
    md_loop_unwatch(srv->loop, &c->io);
    md_timer_stop(&c->timer);
    if (c->tls)
        md_tls_goodbye(c->tls);
    md_tls_free(c->tls);
    c->tls = NULL;
    close(c->io.fd);
    c->io.fd = -1;
    if (c->prev)
        c->prev->next = c->next;
    else
        srv->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    atomic_fetch_sub(&srv->stats.n_open, 1);
    if (c->state == MD_HTTP_CONN_BUSY || c->state == MD_HTTP_CONN_WRITING)
        md_http__count(&srv->stats.abandoned, 1);
    if (c->state == MD_HTTP_CONN_BUSY) {
        atomic_store(&c->req.gone, true);
        return;
    }
    if (c->h2 && !md_http__h2_closed(c))
        return;
    c->state = MD_HTTP_CONN_CLOSED;
    c->post.run = release;
    md_loop_post(srv->loop, &c->post);
}

md_http_conn *md_http__conn_next(const md_http_conn *c)
{
    return c->next;
}

bool md_http__conn_watch(md_http_conn *c, uint32_t events)
{
    if (c->tls)
        events = md_http__tls_events(c, events);
    if (md_loop_watch(c->srv->loop, &c->io, events, NULL) == MD_OK)
        return true;
    md_http__conn_close(c);
    return false;
}

/* ---- writing ---- */

static void start_write(md_http_conn *c)
{
    md_http_server *srv = c->srv;
    const md_http1_reply reply = {
        .status = c->req.status,
        .fields = { (const char *)c->req.fields.data, c->req.fields.size },
        .content_size = md_http__reply_body(&c->req).size,
        .keep_alive = c->keep_alive && !srv->draining,
        .minor = c->in.minor,
        .date = md_http__date(srv),
    };

    c->state = MD_HTTP_CONN_WRITING;
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

/* Answer what the core refused, or a timeout, and close. */
static void reply_error(md_http_conn *c, int status, const char *text)
{
    c->keep_alive = false;
    md_http__reply_error(&c->req, status, text);
    start_write(c);
}

void md_http__conn_linger(md_http_conn *c, bool refused)
{
    c->state = MD_HTTP_CONN_LINGERING;
    c->progress = 0;
    if (c->tls)
        md_tls_goodbye(c->tls);
    (void)shutdown(c->io.fd, SHUT_WR);
    md_timer_start(refused ? &c->srv->refusals : &c->srv->lingers, &c->timer);
    (void)md_http__conn_watch(c, EPOLLIN);
}

static void start_linger(md_http_conn *c)
{
    /* Closing with unread bytes would reset the connection, and the reset may
     * overtake the reply. */
    bool complete = md_http1_step(&c->in) == MD_HTTP1_DONE;

    md_http1_release(&c->in);
    md_buf_release(&c->req.body);
    count_buffers(c);
    md_http__conn_linger(c, !complete);
}

static void end_write(md_http_conn *c)
{
    c->n_served++;
    if (!c->keep_alive) {
        start_linger(c);
        return;
    }
    md_http__request_reset(&c->req, MD_HTTP__KEEP_SIZE_MAX);
    md_http1_next(&c->in);
    count_buffers(c);
    c->state = MD_HTTP_CONN_READING;
    c->phase = MD_HTTP_CONN_NO_PHASE;
    md_timer_stop(&c->timer);
    advance(c);
}

/* What is left of head and body into iov; how many pieces. */
static size_t gather(const md_http_conn *c, struct iovec iov[2])
{
    md_slice body = md_http__reply_body(&c->req);
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

size_t md_http__conn_send(md_http_conn *c, const struct iovec *iov, size_t n)
{
    /* sendmsg does not write, msghdr has no const */
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
    ssize_t size;

    if (c->tls)
        return md_http__tls_send(c, iov, n);
    do {
        size = sendmsg(c->io.fd, &msg, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        md_http__conn_close(c);
    if (size <= 0)
        return 0;
    md_http__count(&c->srv->stats.sent_bytes, (uint64_t)size);
    return (size_t)size;
}

static void write_some(md_http_conn *c)
{
    for (;;) {
        struct iovec iov[2];
        size_t n = gather(c, iov);
        size_t sent;

        if (n == 0) {
            end_write(c);
            return;
        }
        sent = md_http__conn_send(c, iov, n);
        if (sent == 0) {
            if (c->io.fd >= 0)
                (void)md_http__conn_watch(c, EPOLLOUT);
            return;
        }
        c->sent += sent;
        if (c->sent - c->progress >= MD_HTTP_PROGRESS_SIZE) {
            c->progress = c->sent;
            md_timer_start(&c->srv->writes, &c->timer);
        }
    }
}

/* The handler has finished the request; back on the loop's thread. */
static void on_finish(md_post *p)
{
    md_http_request *req =
        (md_http_request *)((char *)p - offsetof(md_http_request, done));
    md_http_conn *c =
        (md_http_conn *)((char *)req - offsetof(md_http_conn, req));

    req->owned = false;
    if (c->io.fd < 0) {
        md_http__conn_release(c);
        return;
    }
    count_buffers(c);
    start_write(c);
}

/* ---- reading ---- */

void md_http__conn_phase(md_http_conn *c, md_http_conn_phase phase)
{
    md_http_server *srv = c->srv;
    md_timer_queue *const queues[] = {
        [MD_HTTP_CONN_HANDSHAKE] = &srv->handshakes,
        [MD_HTTP_CONN_IDLE] = &srv->idles,
        [MD_HTTP_CONN_HEAD] = &srv->heads,
        [MD_HTTP_CONN_BODY] = &srv->bodies,
        [MD_HTTP_CONN_WAIT] = &srv->waits,
        [MD_HTTP_CONN_WRITE] = &srv->writes
    };

    if (phase == c->phase)
        return;
    c->phase = phase;
    if (phase == MD_HTTP_CONN_NO_PHASE)
        md_timer_stop(&c->timer);
    else
        md_timer_start(queues[phase], &c->timer);
}

static void set_phase(md_http_conn *c, md_http_conn_phase phase)
{
    size_t received = md_http1_body_received(&c->in);

    if (phase == MD_HTTP_CONN_BODY && phase == c->phase &&
        received - c->progress >= MD_HTTP_PROGRESS_SIZE)
        c->phase = MD_HTTP_CONN_NO_PHASE; /* again, from now */
    if (phase != c->phase)
        c->progress = received;
    md_http__conn_phase(c, phase);
}

static void wait_for_input(md_http_conn *c)
{
    if (!md_http1_is_idle(&c->in)) {
        set_phase(c, md_http1_in_body(&c->in) ? MD_HTTP_CONN_BODY
                                              : MD_HTTP_CONN_HEAD);
    } else if (c->n_served == 0) {
        set_phase(c, MD_HTTP_CONN_HEAD); /* who connects has something to say */
    } else if (c->srv->draining) {
        md_http__conn_close(c);
        return;
    } else {
        set_phase(c, MD_HTTP_CONN_IDLE);
        md_http__server_has_room(c->srv);
    }
    (void)md_http__conn_watch(c, EPOLLIN);
}

/* False when the connection is closed. */
static bool send_continue(md_http_conn *c)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct iovec iov = { text, sizeof(text) - 1 };

    if (!c->in.expects_continue || md_http1_has_unread(&c->in))
        return true;
    if (md_http__conn_send(c, &iov, 1) == iov.iov_len)
        return true;
    /* No room for 25 bytes: the peer does not read its answers. */
    md_http__conn_close(c);
    return false;
}

static void dispatch(md_http_conn *c)
{
    if (c->grpc_only) {
        reply_error(c, 415, MD_HTTP__GRPC_ONLY);
        return;
    }
    md_timer_stop(&c->timer);
    c->state = MD_HTTP_CONN_BUSY;
    c->phase = MD_HTTP_CONN_NO_PHASE;
    c->keep_alive = md_http1_keep_alive(&c->in);
    md_http__request_hand_out(&c->req);
}

static void advance(md_http_conn *c)
{
    for (;;) {
        switch (md_http1_step(&c->in)) {
        case MD_HTTP1_MORE:
            wait_for_input(c);
            return;
        case MD_HTTP1_HEAD:
            if (c->grpc_only)
                md_http1_refuse(&c->in, 415, MD_HTTP__GRPC_ONLY);
            else if (!send_continue(c))
                return;
            break;
        case MD_HTTP1_DONE:
            dispatch(c);
            return;
        case MD_HTTP1_ERROR:
            md_http__count(&c->srv->stats.rejected, 1);
            reply_error(c, c->in.error_status, c->in.error_text);
            return;
        }
    }
}

size_t md_http__conn_recv(md_http_conn *c, void *to, size_t size)
{
    ssize_t n;

    if (c->tls)
        return md_http__tls_recv(c, to, size);
    do {
        n = recv(c->io.fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0) {
        md_http__conn_close(c);
        return 0;
    }
    md_http__count(&c->srv->stats.received_bytes, (uint64_t)n);
    return (size_t)n;
}

/* Bytes into the core; 0: none for now, or the connection is closed. */
static size_t receive(md_http_conn *c)
{
    size_t room = 0;
    void *to = md_http1_space(&c->in, &room);
    size_t n;

    if (!to) {
        md_http__conn_close(c);
        return 0;
    }
    n = md_http__conn_recv(c, to, room);
    if (n == 0)
        return 0;
    md_http1_commit(&c->in, n);
    count_buffers(c);
    if (c->req.counted > MD_HTTP__KEEP_SIZE_MAX &&
        md_http_server_is_full(c->srv))
        md_http1_refuse(&c->in, 503,
                        "requests and replies of all connections are larger "
                        "than the limit");
    return n;
}

/* The first bytes of a connection tell which HTTP it speaks; false when it is
 * not HTTP/1.1, or not known yet. */
static bool is_http1(md_http_conn *c)
{
    if (c->n_served > 0 || !md_http1_is_untouched(&c->in))
        return true;
    switch (md_http2_preface_of(md_http1_unread(&c->in))) {
    case MD_HTTP2_NO:
        return true;
    case MD_HTTP2_MAYBE:
        wait_for_input(c);
        return false;
    case MD_HTTP2_YES:
        md_http__h2_begin(c);
        return false;
    }
    return true;
}

static void read_some(md_http_conn *c)
{
    for (int i = 0; i < READS_PER_EVENT && c->state == MD_HTTP_CONN_READING;
         i++) {
        if (receive(c) == 0)
            return;
        if (is_http1(c))
            advance(c);
        if (c->h2)
            return;
    }
}

/* Close it unless a request has come that nobody has looked at yet; false
 * when it goes on. */
static bool close_if_idle(md_http_conn *c)
{
    if (c->h2) {
        md_http__h2_close_if_idle(c);
        return c->io.fd < 0;
    }
    if (c->state != MD_HTTP_CONN_READING || !md_http1_is_idle(&c->in) ||
        c->phase == MD_HTTP_CONN_HANDSHAKE)
        return false;
    read_some(c);
    if (c->state == MD_HTTP_CONN_READING && md_http1_is_idle(&c->in))
        md_http__conn_close(c);
    return c->state == MD_HTTP_CONN_CLOSED;
}

void md_http__conn_drain(md_http_conn *c)
{
    if (c->h2)
        md_http__h2_drain(c);
    else
        (void)close_if_idle(c);
}

bool md_http__conn_evict(md_http_server *srv)
{
    md_timer *t;

    /* One that is not idle after all has left the queue. */
    while ((t = md_timer_first(&srv->idles)) ||
           (t = md_timer_first(&srv->waits)))
        if (close_if_idle(of_timer(t))) {
            md_http__count(&srv->stats.evicted, 1);
            return true;
        }
    return false;
}

static void discard(md_http_conn *c)
{
    char bin[DISCARD_SIZE];
    ssize_t n = recv(c->io.fd, bin, sizeof(bin), 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->progress += n > 0 ? (size_t)n : 0;
    if (n <= 0 || c->progress > LINGER_SIZE_MAX)
        md_http__conn_close(c);
}

/* Go on with what comes before HTTP. */
static void open_more(md_http_conn *c)
{
    if (c->wants_proxy && !md_http__proxy_step(c))
        return;
    if (c->wants_tls && !c->tls && !md_http__tls_begin(c)) {
        md_http__count(&c->srv->stats.accept_failures, 1);
        md_http__conn_close(c);
        return;
    }
    if (!c->tls || md_http__tls_shake(c))
        wait_for_input(c);
}

void md_http__conn_ready(md_http_conn *c, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        md_http__conn_close(c);
        return;
    }
    switch (c->state) {
    case MD_HTTP_CONN_READING:
        if (c->phase == MD_HTTP_CONN_HANDSHAKE) {
            open_more(c);
        } else if (c->h2) {
            md_http__h2_ready(c, events);
        } else {
            read_some(c);
        }
        break;
    case MD_HTTP_CONN_BUSY:
        (void)md_http__conn_watch(c, 0); /* later requests stay in the kernel */
        break;
    case MD_HTTP_CONN_WRITING:
        write_some(c);
        break;
    case MD_HTTP_CONN_LINGERING:
        discard(c);
        break;
    case MD_HTTP_CONN_CLOSED:
        break;
    }
}

static void on_ready(md_loop_io *io, uint32_t events)
{
    md_http__conn_ready(of_io(io), events);
}

/* ---- timeouts ---- */

static void on_close_timeout(md_timer *t)
{
    md_http__conn_close(of_timer(t));
}

static void on_handshake_timeout(md_timer *t)
{
    md_http_conn *c = of_timer(t);

    md_http__count(&c->srv->stats.timeouts, 1);
    md_http__conn_close(c);
}

static void on_idle_timeout(md_timer *t)
{
    md_http_conn *c = of_timer(t);

    if (c->h2)
        md_http__h2_timeout(c);
    else
        md_http__conn_close(c);
}

static void on_read_timeout(md_timer *t)
{
    md_http_conn *c = of_timer(t);

    md_http__count(&c->srv->stats.timeouts, 1);
    if (c->h2)
        md_http__h2_timeout(c);
    else if (md_http1_is_idle(&c->in))
        md_http__conn_close(c); /* never said a word */
    else
        reply_error(c, 408, "request did not come in time");
}

static void on_write_timeout(md_timer *t)
{
    md_http_conn *c = of_timer(t);

    md_http__count(&c->srv->stats.timeouts, 1);
    md_http__conn_close(c);
}

void md_http__conn_queues_init(md_http_server *srv)
{
    const md_http_server_opts *o = &srv->opts;

    md_timer_queue_init(&srv->handshakes, srv->loop, o->handshake_timeout_ms,
                        on_handshake_timeout);
    md_timer_queue_init(&srv->heads, srv->loop, o->head_timeout_ms,
                        on_read_timeout);
    md_timer_queue_init(&srv->bodies, srv->loop, o->body_timeout_ms,
                        on_read_timeout);
    md_timer_queue_init(&srv->writes, srv->loop, o->write_timeout_ms,
                        on_write_timeout);
    md_timer_queue_init(&srv->idles, srv->loop, o->idle_timeout_ms,
                        on_idle_timeout);
    md_timer_queue_init(&srv->waits, srv->loop, 0, on_close_timeout);
    md_timer_queue_init(&srv->lingers, srv->loop, LINGER_MS, on_close_timeout);
    md_timer_queue_init(&srv->refusals, srv->loop, LINGER_REFUSED_MS,
                        on_close_timeout);
    md_http__h2_queues_init(srv);
}

void md_http__conn_open(const md_http_listener *l, int fd,
                        const struct sockaddr *sa, socklen_t sa_size)
{
    md_http_server *srv = l->srv;
    md_http_conn *c = md_calloc(srv->alloc, 1, sizeof(*c));

    if (!c ||
        md_http1_init(&c->in, &srv->opts.limits, srv->alloc, NULL) != MD_OK) {
        md_free(srv->alloc, c);
        close(fd);
        md_http__count(&srv->stats.accept_failures, 1);
        return;
    }
    c->io = (md_loop_io){ .fd = fd, .ready = on_ready };
    c->srv = srv;
    c->grpc_only = l->grpc_only;
    c->wants_proxy = md_trust_has(&srv->opts.proxies, sa);
    c->wants_tls = srv->tls && !l->is_unix;
    md_address_format(c->peer, sa, sa_size);
    md_http__request_init(&c->req, srv, c->peer);
    c->req.h1 = &c->in;
    c->req.done.run = on_finish;
    md_buf_init(&c->head, srv->alloc, (size_t)2 * MD_HTTP__FIELDS_SIZE_MAX);
    c->next = srv->conns;
    if (c->next)
        c->next->prev = c;
    srv->conns = c;
    srv->n_conns++;
    md_http__count(&srv->stats.accepted, 1);
    md_http__count(&srv->stats.n_open, 1);
    if (c->wants_proxy || c->wants_tls)
        md_http__conn_phase(c, MD_HTTP_CONN_HANDSHAKE);
    open_more(c);
}
