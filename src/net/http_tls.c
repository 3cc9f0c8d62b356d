/* Connections that speak TLS: between the loop's readiness and OpenSSL's. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/http_conn.h"

#define MD_LOG_TAG "net.tls"

#define PLAIN_TEXT                                                             \
    "{\"error\":\"plain HTTP was sent to a port of HTTPS: use https://\"}"
#define PLAIN_TEXT_SIZE "64"

static void on_resume(md_post *p)
{
    md_http_conn *c =
        (md_http_conn *)((char *)p - offsetof(md_http_conn, resume));

    c->resuming = false;
    if (c->io.fd >= 0 && c->state == MD_HTTP_CONN_READING)
        md_http__conn_ready(c, EPOLLIN);
}

bool md_http__tls_begin(md_http_conn *c)
{
    c->resume.run = on_resume;
    c->tls = md_tls_new(c->srv->tls, c->io.fd);
    return c->tls != NULL;
}

/* A few bytes, for which there is room in a new connection. */
static void refuse_plain(md_http_conn *c)
{
    static const char reply[] = "HTTP/1.1 400 Bad Request\r\n"
                                "Content-Type: application/json\r\n"
                                "Content-Length: " PLAIN_TEXT_SIZE "\r\n"
                                "Connection: close\r\n\r\n" PLAIN_TEXT;

    _Static_assert(sizeof(PLAIN_TEXT) - 1 == 64, "of PLAIN_TEXT_SIZE");
    (void)send(c->io.fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL);
}

static void fail_handshake(md_http_conn *c)
{
    const bool plain = md_tls_is_plain_http(c->tls);

    md_http__count(&c->srv->stats.handshake_failures, 1);
    MD_LOG(MD_LOG_INFO, "handshake failed", md_log_str("peer", c->peer),
           md_log_str("error", md_tls_why(c->tls)));
    if (plain)
        refuse_plain(c);
    md_tls_free(c->tls);
    c->tls = NULL;
    md_http__conn_linger(c, plain);
}

bool md_http__tls_shake(md_http_conn *c)
{
    switch (md_tls_handshake(c->tls)) {
    case MD_TLS_OK:
        return true;
    case MD_TLS_WANTS_READ:
        (void)md_http__conn_watch(c, EPOLLIN);
        break;
    case MD_TLS_WANTS_WRITE:
        (void)md_http__conn_watch(c, EPOLLOUT);
        break;
    case MD_TLS_CLOSED:
        md_http__conn_close(c);
        break;
    case MD_TLS_FAILED:
        fail_handshake(c);
        break;
    }
    return false;
}

size_t md_http__tls_recv(md_http_conn *c, void *to, size_t size)
{
    size_t n;

    c->tls_read = md_tls_read(c->tls, to, size, &n);
    if (n == 0 &&
        (c->tls_read == MD_TLS_CLOSED || c->tls_read == MD_TLS_FAILED))
        md_http__conn_close(c);
    md_http__count(&c->srv->stats.received_bytes, n);
    return n;
}

size_t md_http__tls_send(md_http_conn *c, const struct iovec *iov, size_t n)
{
    size_t size;

    c->tls_write = md_tls_write(c->tls, iov, n, &size);
    if (c->tls_write == MD_TLS_CLOSED || c->tls_write == MD_TLS_FAILED)
        md_http__conn_close(c);
    md_http__count(&c->srv->stats.sent_bytes, size);
    return size;
}

uint32_t md_http__tls_events(md_http_conn *c, uint32_t events)
{
    uint32_t out = 0;

    if (c->state == MD_HTTP_CONN_LINGERING ||
        c->phase == MD_HTTP_CONN_HANDSHAKE)
        return events; /* the socket's own */
    if ((events & EPOLLIN) && md_tls_has_more(c->tls) && !c->resuming) {
        c->resuming = true;
        md_loop_post(c->srv->loop, &c->resume);
    }
    if (events & EPOLLIN)
        out |= c->tls_read == MD_TLS_WANTS_WRITE ? EPOLLOUT : EPOLLIN;
    if (events & EPOLLOUT)
        out |= c->tls_write == MD_TLS_WANTS_READ ? EPOLLIN : EPOLLOUT;
    return out;
}
