#include "support/http_client.h"

#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void http_connect(http_client *c, const char *address)
{
    const struct timeval limit = { .tv_sec = 10 };
    struct sockaddr_in sa = { .sin_family = AF_INET };
    const char *colon = strrchr(address, ':');

    assert_non_null(colon);
    sa.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->n = 0;
    c->data = test_malloc(HTTP_BODY_SIZE);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(c->fd >= 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

void http_close(http_client *c)
{
    close(c->fd);
    test_free(c->data);
}

void http_send(http_client *c, const void *data, size_t size)
{
    const char *p = data;

    while (size) {
        ssize_t n = send(c->fd, p, size, MSG_NOSIGNAL);

        assert_true(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

void http_send_text(http_client *c, const char *text)
{
    http_send(c, text, strlen(text));
}

/* More bytes; fails at the end and after ten seconds. */
static void fill(http_client *c)
{
    ssize_t n;

    assert_true(c->n < HTTP_BODY_SIZE);
    n = recv(c->fd, c->data + c->n, HTTP_BODY_SIZE - c->n, 0);
    assert_true(n > 0);
    c->n += (size_t)n;
}

static void take(http_client *c, void *to, size_t size)
{
    while (c->n < size)
        fill(c);
    memcpy(to, c->data, size);
    c->n -= size;
    memmove(c->data, c->data + size, c->n);
}

static size_t head_size(const http_client *c)
{
    for (size_t i = 3; i < c->n; i++)
        if (memcmp(c->data + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    return 0;
}

void http_receive(http_client *c, http_reply *r, bool no_body)
{
    size_t size;
    const char *length;

    while ((size = head_size(c)) == 0)
        fill(c);
    assert_true(size < HTTP_HEAD_SIZE);
    take(c, r->head, size);
    r->head[size] = '\0';
    assert_int_equal(strncmp(r->head, "HTTP/1.1 ", 9), 0);
    r->status = (int)strtol(r->head + 9, NULL, 10);
    length = http_field(r, "content-length");
    r->body_size = no_body || !length ? 0 : strtoul(length, NULL, 10);
    r->body = test_malloc(r->body_size + 1);
    take(c, r->body, r->body_size);
    r->body[r->body_size] = '\0';
}

const char *http_field(const http_reply *r, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);

    for (const char *p = strchr(r->head, '\n'); p; p = strchr(p, '\n')) {
        p++;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            const char *end = strstr(p, "\r\n");
            int size = (int)(end - p) - (int)n - 2;

            (void)snprintf(value, sizeof(value), "%.*s", size, p + n + 2);
            return value;
        }
    }
    return NULL;
}

bool http_is_closed(http_client *c)
{
    char byte;

    return c->n == 0 && recv(c->fd, &byte, 1, 0) == 0;
}

void http_exchange(const char *address, const char *text, http_reply *r)
{
    http_client c;

    http_connect(&c, address);
    http_send_text(&c, text);
    http_receive(&c, r, strncmp(text, "HEAD", 4) == 0);
    http_close(&c);
}

void http_call(const char *address, const char *method, const char *path,
               const char *type, const void *body, size_t size, http_reply *r)
{
    char head[1024];
    http_client c;

    (void)snprintf(head, sizeof(head),
                   "%s %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n"
                   "%s%s%s\r\n",
                   method, path, size, type ? "Content-Type: " : "",
                   type ? type : "", type ? "\r\n" : "");
    http_connect(&c, address);
    http_send_text(&c, head);
    http_send(&c, body, size);
    http_receive(&c, r, strcmp(method, "HEAD") == 0);
    http_close(&c);
}

void http_reply_release(http_reply *r)
{
    test_free(r->body);
    r->body = NULL;
}
