/*
 * The HTTP/2 core over any bytes behind a connection's preface.  The first
 * byte is the size of the pieces they come in; whole and in pieces, the same
 * requests must come out, and every stream must be closed at the end.
 */
#include <stdint.h>
#include <stdlib.h>

#include "net/http2.h"

static const md_http1_limits LIMITS = { 256, 1024, 8, 4096 };

enum {
    OUT_MAX = 1 << 20
};

typedef struct user {
    uint64_t hash; /* of all complete requests, whatever their order */
    int n_open;
} user;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static uint64_t mix(uint64_t hash, md_slice s)
{
    for (size_t i = 0; i < s.size; i++)
        hash = (hash ^ (unsigned char)s.data[i]) * 0x100000001b3u;
    return (hash ^ s.size) * 0x100000001b3u;
}

static md_http2_stream *on_open(void *ctx)
{
    md_http2_stream *s = md_calloc(md_alloc_default(), 1, sizeof(*s));

    if (!s)
        return NULL;
    ((user *)ctx)->n_open++;
    md_http2_stream_init(s, md_alloc_default(), &LIMITS);
    return s;
}

static void on_head(void *ctx, md_http2_stream *s)
{
    (void)ctx;
    require(s->has_head && md_http2_path(s).size > 0);
    if (s->expects_continue)
        md_http2_continue(s);
}

static void answer(md_http2_stream *s, int status, const char *text)
{
    const md_http2_reply r = { .status = status,
                               .body = md_slice_of(text),
                               .has_length = true,
                               .content_size = md_slice_of(text).size };

    (void)md_http2_answer(s, &r, NULL);
}

static void on_data(void *ctx, md_http2_stream *s)
{
    user *u = ctx;
    uint64_t hash = 0xcbf29ce484222325u;

    require(s->body.size <= LIMITS.body_size_max &&
            s->n_fields <= LIMITS.n_fields_max);
    md_http2_consume(s);
    if (!s->is_complete)
        return;
    hash = mix(hash, md_http2_method(s));
    hash = mix(hash, md_http2_path(s));
    hash = mix(hash, md_http2_query(s));
    hash = mix(hash, md_http2_field_get(s, "content-type"));
    hash = mix(hash, (md_slice){ (const char *)s->body.data, s->body.size });
    u->hash += hash;
    answer(s, 200, "an answer");
}

static void on_refuse(void *ctx, md_http2_stream *s, int status,
                      const char *text)
{
    ((user *)ctx)->hash += (uint64_t)status;
    answer(s, status, text);
}

static void on_taken(void *ctx, md_http2_stream *s)
{
    (void)ctx;
    (void)s;
}

static void on_answered(void *ctx, md_http2_stream *s)
{
    (void)ctx;
    md_http2_stop(s);
}

static void on_close(void *ctx, md_http2_stream *s)
{
    ((user *)ctx)->n_open--;
    md_http2_stream_release(s);
    md_free(md_alloc_default(), s);
}

static const md_http2_hooks HOOKS = { on_open,  on_head,     on_data, on_refuse,
                                      on_taken, on_answered, on_close };

static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                  "\0\0\0\4\0\0\0\0";
    user u = { 0 };
    md_http2 *h = NULL;
    md_status s;
    md_buf out;

    md_buf_init(&out, md_alloc_default(), OUT_MAX);
    require(md_http2_new(&h, &LIMITS, &HOOKS, &u, md_alloc_default(), NULL) ==
            MD_OK);
    s = md_http2_receive(h, preface, sizeof(preface), 0, NULL);
    require(s == MD_OK);
    for (size_t at = 0; s == MD_OK && at < size; at += step)
        s = md_http2_receive(h, data + at, size - at < step ? size - at : step,
                             0, NULL);
    require(md_http2_pull(h, &out, OUT_MAX / 2, NULL) == MD_OK);
    md_http2_free(h);
    require(u.n_open == 0);
    md_buf_release(&out);
    return u.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    require(run(data + 1, size - 1, size) ==
            run(data + 1, size - 1, (size_t)data[0] + 1));
    return 0;
}
