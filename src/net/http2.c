#include "net/http2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "net/http2_mem.h"

enum {
    NAMES_SIZE = 1024, /* of all field names of one reply */
    NV_MAX = 64,
    FIELD_COST = 32, /* RFC 9113 6.5.2: an entry is its text and this */

    /* Frames that bring nothing: a burst, and what then goes on for ever.
     * A client that pings once in a round trip, as some do to measure
     * bandwidth, does so beside requests or data. */
    CREDIT_MAX = 4000,
    CREDIT_PER_SECOND = 200,
    CREDIT_PER_REPLY = 16,
    CREDIT_PER_DATA = 4, /* for each DATA_UNIT, either way */
    DATA_UNIT = 16 * 1024,
    COST_FRAME = 1,
    COST_HEADERS = 2,
    COST_SETTINGS = 8,
    COST_RESET = 16,
    COST_TOO_LARGE = 64
};

struct md_http2 {
    const md_alloc *alloc;
    const md_http1_limits *limits;
    const md_http2_hooks *hooks;
    void *ctx;
    nghttp2_session *session;
    nghttp2_mem mem;
    md_http2_stream *streams; /* open ones */
    uint32_t n_streams;
    int32_t head_of; /* stream whose head is coming; 0: none */
    bool is_new;
    size_t heads_size;
    int64_t credit;
    size_t data_size; /* not yet turned into credit */
    uint64_t now_ms;
    bool flooded;
    bool notified;
    bool said_goodbye;
};

/* ---- streams as their owners see them ---- */

void md_http2_stream_init(md_http2_stream *s, const md_alloc *alloc,
                          const md_http1_limits *limits)
{
    *s = (md_http2_stream){ 0 };
    md_buf_init(&s->head, alloc, limits->head_size_max);
    md_buf_init(&s->body, alloc, limits->body_size_max + MD_HTTP2_BODY_SLACK);
    md_buf_init(&s->later, alloc, s->body.limit);
}

void md_http2_stream_release(md_http2_stream *s)
{
    assert(!s->core);
    md_free(s->head.alloc, s->fields);
    md_buf_release(&s->head);
    md_buf_release(&s->body);
    md_buf_release(&s->later);
    s->fields = NULL;
}

void md_http2_stream_reset(md_http2_stream *s)
{
    const md_http2_stream old = *s;

    assert(!s->core);
    *s = (md_http2_stream){ .head = old.head,
                            .body = old.body,
                            .later = old.later,
                            .fields = old.fields,
                            .cap_fields = old.cap_fields };
    md_buf_reset(&s->head);
    md_buf_reset(&s->body);
    md_buf_release(&s->later); /* seldom used */
}

md_status md_http2_let_go(md_http2_stream *s, md_error *err)
{
    md_status st = MD_OK;

    s->held = false;
    if (s->later.size)
        st = md_buf_append(&s->body, s->later.data, s->later.size, err);
    md_buf_release(&s->later);
    return st;
}

static md_slice part_of(const md_http2_stream *s, md_http1_part p)
{
    return (md_slice){ (const char *)s->head.data + p.at, p.size };
}

md_slice md_http2_method(const md_http2_stream *s)
{
    return part_of(s, s->method);
}

md_slice md_http2_path(const md_http2_stream *s)
{
    return (md_slice){ (const char *)s->head.data + s->target.at,
                       s->path_size };
}

md_slice md_http2_query(const md_http2_stream *s)
{
    md_slice t = part_of(s, s->target);
    const uint32_t at = s->path_size + 1; /* behind '?' */

    return at < t.size ? (md_slice){ t.data + at, t.size - at }
                       : (md_slice){ NULL, 0 };
}

md_slice md_http2_field_get(const md_http2_stream *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_fields; i++)
        if (md_slice_eq_nocase(part_of(s, s->fields[i].name), name))
            return part_of(s, s->fields[i].value);
    return (md_slice){ NULL, 0 };
}

uint32_t md_http2_field_count(const md_http2_stream *s, const char *name)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_fields; i++)
        n += md_slice_eq_nocase(part_of(s, s->fields[i].name), name);
    return n;
}

/* ---- credit ---- */

static void earn(md_http2 *h, int64_t n)
{
    h->credit = h->credit + n > CREDIT_MAX ? CREDIT_MAX : h->credit + n;
}

static void earn_time(md_http2 *h, uint64_t now_ms)
{
    const uint64_t ms = now_ms - h->now_ms;

    if (ms * CREDIT_PER_SECOND < 1000)
        return;
    h->now_ms = now_ms;
    earn(h, ms > 60000 ? CREDIT_MAX : (int64_t)(ms * CREDIT_PER_SECOND / 1000));
}

static void earn_data(md_http2 *h, size_t size)
{
    h->data_size += size;
    if (h->data_size >= DATA_UNIT) {
        earn(h, (int64_t)(h->data_size / DATA_UNIT) * CREDIT_PER_DATA);
        h->data_size %= DATA_UNIT;
    }
}

static void pay(md_http2 *h, int64_t n)
{
    h->credit -= n;
    if (h->credit >= 0 || h->flooded)
        return;
    h->flooded = true;
    (void)nghttp2_session_terminate_session(h->session,
                                            NGHTTP2_ENHANCE_YOUR_CALM);
}

static int64_t cost_of(const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_DATA: /* an empty one that ends nothing */
        return hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM)
                   ? COST_FRAME
                   : 0;
    case NGHTTP2_HEADERS:
        return COST_HEADERS;
    case NGHTTP2_SETTINGS:
        return COST_SETTINGS;
    case NGHTTP2_RST_STREAM:
        return COST_RESET;
    default:
        return COST_FRAME;
    }
}

/* ---- heads ---- */

static md_http2_stream *stream_of(md_http2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static void reset_stream(md_http2 *h, int32_t id, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, code);
}

static int on_begin_headers(nghttp2_session *session,
                            const nghttp2_frame *frame, void *ctx)
{
    const int32_t id = frame->hd.stream_id;
    md_http2 *h = ctx;
    md_http2_stream *s;

    if (frame->hd.type != NGHTTP2_HEADERS ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers: nobody asks for them */
    s = h->heads_size < MD_HTTP2_HEADS_MAX ? h->hooks->open(h->ctx) : NULL;
    if (!s) {
        pay(h, COST_RESET);
        reset_stream(h, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    s->core = h;
    s->id = id;
    h->n_streams++;
    h->head_of = id;
    s->next = h->streams;
    if (s->next)
        s->next->prev = s;
    h->streams = s;
    (void)nghttp2_session_set_stream_user_data(session, id, s);
    return 0;
}

/* Append text to the head; its place. */
static bool keep_text(md_http2_stream *s, md_http1_part *out,
                      const uint8_t *text, size_t size)
{
    *out = (md_http1_part){ (uint32_t)s->head.size, (uint32_t)size };
    return md_buf_append(&s->head, text, size, NULL) == MD_OK;
}

static bool keep_field(md_http2_stream *s, md_slice name, const uint8_t *value,
                       size_t size)
{
    md_http1_field *f;

    if (s->n_fields == s->core->limits->n_fields_max ||
        md_grow(s->head.alloc, &s->fields, &s->cap_fields, s->n_fields,
                sizeof(*s->fields), NULL) != MD_OK)
        return false;
    f = &s->fields[s->n_fields];
    if (!keep_text(s, &f->name, (const uint8_t *)name.data, name.size) ||
        !keep_text(s, &f->value, value, size))
        return false;
    s->n_fields++;
    return true;
}

/* Pseudo fields come first and once each, which the library sees to. */
static bool keep(md_http2_stream *s, md_slice name, const uint8_t *value,
                 size_t size)
{
    md_http1_part host;

    if (name.data[0] != ':')
        return keep_field(s, name, value, size);
    if (md_slice_eq(name, ":method"))
        return keep_text(s, &s->method, value, size);
    if (md_slice_eq(name, ":path"))
        return keep_text(s, &s->target, value, size);
    if (md_slice_eq(name, ":authority"))
        return keep_text(s, &host, value, size);
    return true;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags,
                     void *ctx)
{
    md_http2 *h = ctx;
    md_http2_stream *s = stream_of(h, frame->hd.stream_id);
    size_t before;

    (void)session;
    (void)flags;
    if (!s || s->has_head || s->too_large || name_size == 0)
        return 0;
    before = s->head.size;
    if (!keep(s, (md_slice){ (const char *)name, name_size }, value,
              value_size)) {
        s->too_large = true;
        pay(h, COST_TOO_LARGE);
    }
    h->heads_size += s->head.size - before;
    return 0;
}

void md_http2_drop(md_http2_stream *s)
{
    s->refused = true;
    md_http2_consume(s);
}

md_http2_stream *md_http2_streams(const md_http2 *h)
{
    return h->streams;
}

void md_http2_refuse(md_http2_stream *s, int status, const char *text)
{
    md_http2 *h = s->core;

    if (s->refused)
        return;
    md_http2_drop(s);
    h->hooks->refuse(h->ctx, s, status, text);
}

/* The size that the head announces, which the library compares with what
 * comes; 0 when there is none. */
static size_t announced(const md_http2_stream *s)
{
    md_slice v = md_http2_field_get(s, "content-length");
    size_t n = 0;

    for (size_t i = 0; i < v.size; i++)
        n = n > SIZE_MAX / 16 ? n : n * 10 + (size_t)(v.data[i] - '0');
    return n;
}

static bool check_head(md_http2_stream *s)
{
    const md_http1_limits *l = s->core->limits;
    const char *query;

    if (s->too_large) {
        md_http2_refuse(s, 431, "request header is larger than the limit");
        return false;
    }
    if (s->target.size > l->line_size_max) {
        md_http2_refuse(s, 414, "request target is larger than the limit");
        return false;
    }
    if (s->target.size == 0 || s->method.size == 0) {
        md_http2_refuse(s, 400, "request has no path");
        return false;
    }
    query = memchr(part_of(s, s->target).data, '?', s->target.size);
    s->path_size =
        query ? (uint32_t)(query - part_of(s, s->target).data) : s->target.size;
    if (announced(s) > l->body_size_max) {
        md_http2_refuse(s, 413, "request body is larger than the limit");
        return false;
    }
    return true;
}

/* All of the head has come. */
static void end_head(md_http2_stream *s)
{
    md_http2 *h = s->core;

    s->has_head = true;
    h->head_of = 0;
    if (!check_head(s))
        return;
    s->expects_continue =
        !s->is_complete &&
        md_slice_eq_nocase(md_http2_field_get(s, "expect"), "100-continue");
    h->hooks->head(h->ctx, s);
}

/* ---- frames ---- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd,
                          void *ctx)
{
    (void)session;
    pay(ctx, cost_of(hd));
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
                         void *ctx)
{
    md_http2 *h = ctx;
    md_http2_stream *s;

    (void)session;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        h->is_new = false;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    s = stream_of(h, frame->hd.stream_id);
    if (!s)
        return 0;
    s->is_complete = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !s->has_head)
        end_head(s);
    if (s->core && s->is_complete && !s->refused)
        h->hooks->data(h->ctx, s);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                   const uint8_t *data, size_t size, void *ctx)
{
    md_http2 *h = ctx;
    md_http2_stream *s = stream_of(h, id);

    (void)flags;
    if (!s || s->refused) {
        (void)nghttp2_session_consume(session, id, size);
        return 0;
    }
    earn_data(h, size);
    s->unread += size;
    if (!s->framed && size > h->limits->body_size_max - s->body.size)
        md_http2_refuse(s, 413, "request body is larger than the limit");
    else if (md_buf_append(s->held ? &s->later : &s->body, data, size, NULL) ==
             MD_OK)
        h->hooks->data(h->ctx, s);
    else
        md_http2_refuse(s, 503, "out of memory");
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
                         void *ctx)
{
    md_http2 *h = ctx;
    md_http2_stream *s;

    (void)session;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    s = stream_of(h, frame->hd.stream_id);
    if (s && !s->is_complete) {
        md_http2_drop(s);
        h->hooks->answered(h->ctx, s);
    }
    return 0;
}

static void forget(md_http2 *h, md_http2_stream *s)
{
    h->n_streams--;
    if (h->head_of == s->id)
        h->head_of = 0;
    h->heads_size -= s->head.size;
    if (s->prev)
        s->prev->next = s->next;
    else
        h->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->prev = NULL;
    s->next = NULL;
    s->core = NULL;
    s->out = (md_slice){ NULL, 0 };
    h->hooks->close(h->ctx, s);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *ctx)
{
    md_http2 *h = ctx;
    md_http2_stream *s = stream_of(h, id);

    (void)code;
    if (!s)
        return 0;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    /* What has come and nobody took is lost; the connection's window must
     * not be. */
    if (s->unread)
        (void)nghttp2_session_consume_connection(session, s->unread);
    s->unread = 0;
    forget(h, s);
    return 0;
}

/* ---- life ---- */

md_http2_preface md_http2_preface_of(md_slice bytes)
{
    const size_t n =
        bytes.size < MD_HTTP2_PREFACE_SIZE ? bytes.size : MD_HTTP2_PREFACE_SIZE;

    if (n && memcmp(bytes.data, NGHTTP2_CLIENT_MAGIC, n) != 0)
        return MD_HTTP2_NO;
    return n == MD_HTTP2_PREFACE_SIZE ? MD_HTTP2_YES : MD_HTTP2_MAYBE;
}

static md_status fail(int rv, md_error *err)
{
    if (rv == NGHTTP2_ERR_NOMEM)
        return md_fail(err, MD_NOMEM, "HTTP/2: out of memory");
    return md_fail(err, MD_INVALID, "HTTP/2: %s", nghttp2_strerror(rv));
}

static md_status open_session(md_http2 *h, md_error *err)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    int rv = nghttp2_session_callbacks_new(&cb);

    if (rv == 0)
        rv = nghttp2_option_new(&opt);
    if (rv == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(
            cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb,
                                                              on_begin_frame);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb,
                                                               on_stream_close);
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_no_closed_streams(opt, 1);
        rv = nghttp2_session_server_new3(&h->session, cb, h, opt, &h->mem);
        if (rv != 0)
            h->session = NULL; /* it is left pointing at what was freed */
    }
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);
    return rv == 0 ? MD_OK : fail(rv, err);
}

/* Priorities stay those of RFC 7540, though nobody needs them: with RFC 9218's
 * libnghttp2 1.52 frees a reply twice when memory runs out. */
static md_status say_hello(md_http2 *h, md_error *err)
{
    const nghttp2_settings_entry entries[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MD_HTTP2_STREAMS_MAX },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, MD_HTTP2_STREAM_WINDOW_SIZE },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
          h->limits->head_size_max + FIELD_COST * h->limits->n_fields_max },
    };
    int rv = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries,
                                     MD_COUNT(entries));

    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(
            h->session, NGHTTP2_FLAG_NONE, 0, MD_HTTP2_WINDOW_SIZE);
    return rv == 0 ? MD_OK : fail(rv, err);
}

md_status md_http2_new(md_http2 **out, const md_http1_limits *limits,
                       const md_http2_hooks *hooks, void *ctx,
                       const md_alloc *alloc, md_error *err)
{
    md_http2 *h = md_calloc(alloc, 1, sizeof(*h));
    md_status s;

    if (!h)
        return md_fail_nomem(err, sizeof(*h));
    h->alloc = alloc;
    h->limits = limits;
    h->hooks = hooks;
    h->ctx = ctx;
    h->credit = CREDIT_MAX;
    h->is_new = true;
    md_http2__mem_init(&h->mem, alloc);
    MD_GOTO(open_session(h, err));
    MD_GOTO(say_hello(h, err));
    *out = h;
out:
    if (s != MD_OK)
        md_http2_free(h);
    return s;
}

void md_http2_free(md_http2 *h)
{
    if (!h)
        return;
    while (h->streams)
        forget(h, h->streams);
    nghttp2_session_del(h->session);
    md_free(h->alloc, h);
}

/* ---- bytes ---- */

md_status md_http2_receive(md_http2 *h, const void *data, size_t size,
                           uint64_t now_ms, md_error *err)
{
    ssize_t n;

    earn_time(h, now_ms);
    n = nghttp2_session_mem_recv(h->session, data, size);
    if (n < 0 && n != NGHTTP2_ERR_NOMEM) { /* a bound of the library's */
        h->flooded = true;
        (void)nghttp2_session_terminate_session(h->session,
                                                NGHTTP2_ENHANCE_YOUR_CALM);
    }
    if (n < 0)
        return fail((int)n, err);
    if (h->flooded)
        return md_fail(err, MD_BUSY,
                       "HTTP/2: more frames that bring nothing than a "
                       "connection may send");
    return MD_OK;
}

md_status md_http2_pull(md_http2 *h, md_buf *out, size_t enough, md_error *err)
{
    while (out->size < enough) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(h->session, &data);

        if (n < 0)
            return fail((int)n, err);
        if (n == 0)
            return MD_OK;
        MD_TRY(md_buf_append(out, data, (size_t)n, err));
    }
    return MD_OK;
}

bool md_http2_has_output(const md_http2 *h)
{
    return nghttp2_session_want_write(h->session) != 0;
}

bool md_http2_is_over(const md_http2 *h)
{
    return nghttp2_session_want_read(h->session) == 0 &&
           nghttp2_session_want_write(h->session) == 0;
}

uint32_t md_http2_n_streams(const md_http2 *h)
{
    return h->n_streams;
}

int32_t md_http2_head_of(const md_http2 *h)
{
    return h->head_of;
}

bool md_http2_is_new(const md_http2 *h)
{
    return h->is_new;
}

bool md_http2_is_flooded(const md_http2 *h)
{
    return h->flooded;
}

void md_http2_goaway(md_http2 *h, bool last)
{
    if (last && !h->said_goodbye) {
        h->said_goodbye = true;
        (void)nghttp2_submit_goaway(
            h->session, NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(h->session),
            NGHTTP2_NO_ERROR, NULL, 0);
    } else if (!last && !h->notified && !h->said_goodbye) {
        h->notified = true;
        (void)nghttp2_submit_shutdown_notice(h->session);
    }
}

/* ---- replies ---- */

void md_http2_continue(md_http2_stream *s)
{
    static const nghttp2_nv status = { (uint8_t *)":status", (uint8_t *)"100",
                                       7, 3, NGHTTP2_NV_FLAG_NONE };

    s->expects_continue = false;
    (void)nghttp2_submit_headers(s->core->session, NGHTTP2_FLAG_NONE, s->id,
                                 NULL, &status, 1, NULL);
}

void md_http2_consume(md_http2_stream *s)
{
    if (s->core && s->unread)
        (void)nghttp2_session_consume(s->core->session, s->id, s->unread);
    s->unread = 0;
}

/* Fields for the library; names lie in lower case in `names`. */
typedef struct nv_list {
    nghttp2_nv at[NV_MAX];
    size_t n;
    char names[NAMES_SIZE];
    size_t used;
} nv_list;

static bool add_nv(nv_list *l, md_slice name, md_slice value)
{
    char *to = l->names + l->used;

    if (l->n == NV_MAX || name.size > NAMES_SIZE - l->used)
        return false;
    for (size_t i = 0; i < name.size; i++)
        to[i] = (char)(name.data[i] >= 'A' && name.data[i] <= 'Z'
                           ? name.data[i] - 'A' + 'a'
                           : name.data[i]);
    l->used += name.size;
    /* the library reads only */
    l->at[l->n++] = (nghttp2_nv){ (uint8_t *)to, (uint8_t *)value.data,
                                  name.size, value.size, NGHTTP2_NV_FLAG_NONE };
    return true;
}

/* Lines "Name: value\r\n". */
static bool add_lines(nv_list *l, md_slice lines)
{
    while (lines.size) {
        const char *colon = memchr(lines.data, ':', lines.size);
        const char *end = memchr(lines.data, '\r', lines.size);

        assert(colon && end && end > colon + 1);
        if (!add_nv(l, (md_slice){ lines.data, (size_t)(colon - lines.data) },
                    (md_slice){ colon + 2, (size_t)(end - colon - 2) }))
            return false;
        lines.size -= (size_t)(end + 2 - lines.data);
        lines.data = end + 2;
    }
    return true;
}

static void submit_trailers(md_http2_stream *s)
{
    nv_list l = { .n = 0 };

    if (!add_lines(&l, s->trailers) ||
        nghttp2_submit_trailer(s->core->session, s->id, l.at, l.n) != 0)
        reset_stream(s->core, s->id, NGHTTP2_INTERNAL_ERROR);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to,
                         size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    md_http2_stream *s = source->ptr;
    md_http2 *h = ctx;
    const size_t n = size < s->out.size ? size : s->out.size;

    (void)session;
    (void)id;
    if (n == 0 && !s->last) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n) {
        memcpy(to, s->out.data, n);
        s->out.data += n;
        s->out.size -= n;
        s->sent += n;
        earn_data(h, n);
        h->hooks->taken(h->ctx, s);
    }
    if (s->last && s->out.size == 0) {
        s->is_answered = true;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailers.size) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(s);
        }
    }
    return (ssize_t)n;
}

enum {
    STATUS_SIZE = 4,
    LENGTH_SIZE = 24
};

/* What the reply's fields point to besides. */
typedef struct reply_texts {
    char status[STATUS_SIZE];
    char length[LENGTH_SIZE];
} reply_texts;

static bool list_reply(nv_list *l, const md_http2_reply *r, reply_texts *t)
{
    assert(r->status >= 100 && r->status <= 999);
    for (int i = 0, n = r->status; i < 3; i++, n /= 10)
        t->status[2 - i] = (char)('0' + n % 10);
    if (!add_nv(l, md_slice_of(":status"), (md_slice){ t->status, 3 }))
        return false;
    if (r->date && !add_nv(l, md_slice_of("date"), md_slice_of(r->date)))
        return false;
    if (r->has_length && r->status != 204 && r->status != 304) {
        (void)snprintf(t->length, sizeof(t->length), "%zu", r->content_size);
        if (!add_nv(l, md_slice_of("content-length"), md_slice_of(t->length)))
            return false;
    }
    return add_lines(l, r->fields);
}

md_status md_http2_answer(md_http2_stream *s, const md_http2_reply *r,
                          md_error *err)
{
    const bool has_body = r->more || r->body.size > 0;
    nghttp2_data_provider source = { { .ptr = s }, read_body };
    md_http2 *h = s->core;
    nv_list l = { .n = 0 };
    reply_texts texts;
    int rv = NGHTTP2_ERR_NOMEM;

    s->is_answered = !has_body;
    s->out = r->body;
    s->last = !r->more;
    if (list_reply(&l, r, &texts))
        rv = nghttp2_submit_response(h->session, s->id, l.at, l.n,
                                     has_body ? &source : NULL);
    if (rv == 0) {
        earn(h, CREDIT_PER_REPLY);
        return MD_OK;
    }
    reset_stream(h, s->id, NGHTTP2_INTERNAL_ERROR);
    return fail(rv, err);
}

static void resume(md_http2_stream *s)
{
    if (!s->deferred)
        return;
    s->deferred = false;
    (void)nghttp2_session_resume_data(s->core->session, s->id);
}

void md_http2_send(md_http2_stream *s, md_slice bytes)
{
    assert(s->out.size == 0 && !s->last);
    s->out = bytes;
    earn(s->core, CREDIT_PER_REPLY);
    resume(s);
}

void md_http2_end(md_http2_stream *s, md_slice trailers)
{
    s->trailers = trailers;
    s->last = true;
    resume(s);
}

void md_http2_stop(md_http2_stream *s)
{
    reset_stream(s->core, s->id, NGHTTP2_NO_ERROR);
}

void md_http2_cancel(md_http2_stream *s, bool cancel)
{
    reset_stream(s->core, s->id,
                 cancel ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
}
