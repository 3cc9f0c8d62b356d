/* What a trusted proxy says before anything else on a connection. */
#include <sys/epoll.h>

#include "base/log.h"
#include "net/http_conn.h"
#include "net/proxy.h"

#define MD_LOG_TAG "net.proxy"

static bool refuse(md_http_conn *c, const md_error *err)
{
    md_http__count(&c->srv->stats.rejected, 1);
    MD_LOG(MD_LOG_INFO, "connection refused", md_log_str("peer", c->peer),
           md_log_error(err));
    md_http__conn_close(c);
    return false;
}

/* Read up to `need` bytes in all; false when not all have come. */
static bool fill(md_http_conn *c, md_buf *in, size_t need)
{
    while (in->size < need) {
        const size_t n =
            md_http__conn_recv(c, in->data + in->size, need - in->size);

        if (n == 0) {
            if (c->io.fd >= 0)
                (void)md_http__conn_watch(c, EPOLLIN);
            return false;
        }
        in->size += n;
    }
    return true;
}

bool md_http__proxy_step(md_http_conn *c)
{
    md_error err = MD_ERROR_INIT;
    md_buf *in = &c->head; /* nothing else uses it yet */
    size_t need = MD_PROXY_HEAD_SIZE;
    bool complete = false;
    md_proxy told;

    /* No byte more than the header is read: TLS may follow. */
    while (!complete) {
        if (in->size > 0 &&
            md_proxy_parse(&told, &need, in->data, in->size, &err) != MD_OK)
            return refuse(c, &err);
        complete = in->size > 0 && in->size == need;
        if (md_buf_reserve(in, need - in->size, &err) != MD_OK)
            return refuse(c, &err);
        if (!fill(c, in, need))
            return false;
    }
    if (told.source_size)
        md_address_format(c->peer, (const struct sockaddr *)&told.source,
                          told.source_size);
    md_buf_reset(in);
    c->wants_proxy = false;
    return true;
}
