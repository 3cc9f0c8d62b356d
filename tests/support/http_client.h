/* A blocking HTTP client for tests: raw bytes out, one parsed reply in.  Any
 * trouble fails the test; nothing waits for more than ten seconds. */
#ifndef MD_TESTS_SUPPORT_HTTP_CLIENT_H
#define MD_TESTS_SUPPORT_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    HTTP_HEAD_SIZE = 4096,
    HTTP_BODY_SIZE = 1 << 20
};

typedef struct http_reply {
    int status;
    char head[HTTP_HEAD_SIZE]; /* status line and fields, terminated */
    char *body;                /* terminated; of the client */
    size_t body_size;
} http_reply;

typedef struct http_client {
    int fd;
    size_t n; /* bytes of data not yet taken */
    char *data;
} http_client;

/* Connect to "127.0.0.1:port". */
void http_connect(http_client *c, const char *address);
void http_close(http_client *c);

void http_send(http_client *c, const void *data, size_t size);
void http_send_text(http_client *c, const char *text);

/* The next reply; no_body: to HEAD, or a 1xx. */
void http_receive(http_client *c, http_reply *r, bool no_body);

/* Value of a field in r->head, or NULL; overwritten by the next call. */
const char *http_field(const http_reply *r, const char *name);

/* Does the peer close, without sending more? */
bool http_is_closed(http_client *c);

/* Connect, send `text`, take one reply and close; the body must be freed by
 * http_reply_release. */
void http_exchange(const char *address, const char *text, http_reply *r);

/* "METHOD path" with a body (may be NULL) and its type (may be NULL). */
void http_call(const char *address, const char *method, const char *path,
               const char *type, const void *body, size_t size, http_reply *r);
void http_reply_release(http_reply *r);

#endif
