#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "net/http1_reply.h"
#include "net/http2.h"
#include "support/fail_alloc.h"
#include "support/h2_frames.h"

enum {
    OUT_MAX = 1 << 24,
    LINE_SIZE = 64,
    HEAD_SIZE = 512,
    N_FIELDS = 4,
    BODY_SIZE = 100000
};

/* A connection with a user that answers every complete request: the body is
 * "METHOD path?query body", or what came for /echo; /hold waits for the test,
 * /slow does not take its body. */
typedef struct user {
    md_http2 *h;
    md_http1_limits limits;
    const md_alloc *alloc;
    md_buf in; /* bytes for the core */
    md_buf out;
    h2_reader r;
    uint64_t now_ms;
    int n_open, n_closed, n_heads;
    md_http2_stream *held;
    uint32_t n_streams_max;
} user;

/* A stream, and what its reply is made of. */
typedef struct one {
    md_http2_stream s;
    md_buf reply;
    md_buf fields;
} one;

static one *one_of(md_http2_stream *s)
{
    return (one *)((char *)s - offsetof(one, s));
}

static md_http2_stream *on_open(void *ctx)
{
    user *u = ctx;
    one *o = md_calloc(u->alloc, 1, sizeof(*o));

    if (!o)
        return NULL;
    u->n_open++;
    md_http2_stream_init(&o->s, u->alloc, &u->limits);
    md_buf_init(&o->reply, u->alloc, OUT_MAX);
    md_buf_init(&o->fields, u->alloc, 4096);
    return &o->s;
}

static void on_head(void *ctx, md_http2_stream *s)
{
    user *u = ctx;

    u->n_heads++;
    assert_true(s->has_head);
    if (s->expects_continue)
        md_http2_continue(s);
}

static void answer(md_http2_stream *s, int status)
{
    one *o = one_of(s);
    const md_http2_reply r = {
        .status = status,
        .fields = { (const char *)o->fields.data, o->fields.size },
        .body = { (const char *)o->reply.data, o->reply.size },
        .has_length = true,
        .content_size = o->reply.size
    };

    (void)md_http2_answer(s, &r, NULL);
}

static void on_refuse(void *ctx, md_http2_stream *s, int status,
                      const char *text)
{
    (void)ctx;
    (void)md_buf_puts(&one_of(s)->reply, text, NULL);
    answer(s, status);
}

static void on_data(void *ctx, md_http2_stream *s)
{
    user *u = ctx;
    one *o = one_of(s);
    md_slice path = md_http2_path(s), query = md_http2_query(s);

    if (!md_slice_eq(path, "/slow"))
        md_http2_consume(s);
    if (!s->is_complete)
        return;
    if (md_slice_eq(path, "/hold")) {
        u->held = s;
        return;
    }
    if (!md_slice_eq(path, "/echo"))
        (void)md_buf_printf(&o->reply, NULL, "%.*s %.*s%s%.*s ",
                            (int)md_http2_method(s).size,
                            md_http2_method(s).data, (int)path.size, path.data,
                            query.data ? "?" : "", (int)query.size, query.data);
    (void)md_buf_append(&o->reply, s->body.data, s->body.size, NULL);
    (void)md_http1_field_write(&o->fields, "X-Test", "Yes", NULL);
    answer(s, 200);
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
    user *u = ctx;
    one *o = one_of(s);

    assert_null(s->core);
    u->n_closed++;
    if (u->held == s)
        u->held = NULL;
    md_http2_stream_release(s);
    md_buf_release(&o->reply);
    md_buf_release(&o->fields);
    md_free(u->alloc, o);
}

static const md_http2_hooks HOOKS = { on_open,  on_head,     on_data, on_refuse,
                                      on_taken, on_answered, on_close };

/* Everything the core has to say becomes words. */
static void hear(user *u)
{
    md_error err = MD_ERROR_INIT;

    md_buf_reset(&u->out);
    assert_md_ok(md_http2_pull(u->h, &u->out, OUT_MAX / 2, &err), &err);
    h2_read(&u->r, &u->out);
}

static void begin(user *u, const md_alloc *alloc)
{
    md_error err = MD_ERROR_INIT;

    memset(u, 0, sizeof(*u));
    u->alloc = alloc ? alloc : md_alloc_default();
    u->limits = (md_http1_limits){ LINE_SIZE, HEAD_SIZE, N_FIELDS, BODY_SIZE };
    md_buf_init(&u->in, md_alloc_default(), OUT_MAX);
    md_buf_init(&u->out, md_alloc_default(), OUT_MAX);
    h2_reader_init(&u->r);
    assert_md_ok(md_http2_new(&u->h, &u->limits, &HOOKS, u, u->alloc, &err),
                 &err);
    hear(u);
    h2_put_hello(&u->in);
    h2_put_frame(&u->in, H2_SETTINGS, H2_ACK, 0, NULL, 0);
    h2_put_number(&u->in, H2_WINDOW_UPDATE, 0, 1 << 24);
}

/* Give the core what was put in u->in, in pieces. */
static md_status speak_in(user *u, size_t piece, md_error *err)
{
    md_status s = MD_OK;

    for (size_t at = 0; s == MD_OK && at < u->in.size; at += piece) {
        size_t n = u->in.size - at < piece ? u->in.size - at : piece;

        s = md_http2_receive(u->h, u->in.data + at, n, u->now_ms, err);
        if (md_http2_n_streams(u->h) > u->n_streams_max)
            u->n_streams_max = md_http2_n_streams(u->h);
    }
    md_buf_reset(&u->in);
    return s;
}

static void speak(user *u)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(speak_in(u, SIZE_MAX / 2, &err), &err);
    hear(u);
}

static void end(user *u)
{
    md_http2_free(u->h);
    assert_int_equal(u->n_open, u->n_closed);
    md_buf_release(&u->in);
    md_buf_release(&u->out);
    h2_reader_release(&u->r);
}

static void expect(user *u, const char *want)
{
    assert_string_equal(h2_words(&u->r), want);
    md_buf_reset(&u->r.words);
    assert_md_ok(md_buf_puts(&u->r.words, "", NULL), (md_error *)NULL);
}

static void expect_part(const user *u, const char *part)
{
    if (!strstr(h2_words(&u->r), part))
        fail_msg("'%.2000s' lacks '%s'", h2_words(&u->r), part);
}

/* ---- requests ---- */

static void test_http2__preface(void **state)
{
    static const char text[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++)
        assert_int_equal(md_http2_preface_of((md_slice){ text, n }),
                         n < MD_HTTP2_PREFACE_SIZE ? MD_HTTP2_MAYBE
                                                   : MD_HTTP2_YES);
    assert_int_equal(md_http2_preface_of(md_slice_of("POST")), MD_HTTP2_NO);
    assert_int_equal(md_http2_preface_of(md_slice_of("PRI * HTTP/1.1\r\n")),
                     MD_HTTP2_NO);
}

static void put_story(md_buf *b)
{
    h2_put_request(b, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/a?b=c", NULL);
    h2_put_request(b, 3, H2_END_HEADERS, "POST", "/x", "content-length", "5",
                   NULL);
    h2_put_request(b, 5, H2_END_HEADERS, "PUT", "/y", "x-a", "b", NULL);
    h2_put_frame(b, H2_DATA, 0, 5, "in", 2);
    h2_put_frame(b, H2_DATA, H2_END_STREAM, 3, "hello", 5);
    h2_put_frame(b, H2_PING, 0, 0, "12345678", 8);
    h2_put_frame(b, H2_DATA, H2_END_STREAM, 5, " parts", 6);
}

static void test_http2__requests_in_pieces_of_any_size(void **state)
{
    static const char want[] =
        "PING ack\n"
        "HEADERS 1 :status=200 content-length=11 x-test=Yes\n"
        "DATA 1 'GET /a?b=c ' end\n"
        "HEADERS 3 :status=200 content-length=13 x-test=Yes\n"
        "HEADERS 5 :status=200 content-length=15 x-test=Yes\n"
        "DATA 3 'POST /x hello' end\n"
        "DATA 5 'PUT /y in parts' end\n";

    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        md_error err = MD_ERROR_INIT;
        user u;

        begin(&u, NULL);
        put_story(&u.in);
        assert_md_ok(speak_in(&u, piece, &err), &err);
        hear(&u);
        /* The order of frames of different streams is the library's. */
        for (const char *line = want; *line; line += strcspn(line, "\n") + 1) {
            char text[128];

            (void)snprintf(text, sizeof(text), "%.*s\n",
                           (int)strcspn(line, "\n"), line);
            expect_part(&u, text);
        }
        assert_int_equal(strlen(h2_words(&u.r)), strlen(want));
        assert_int_equal(u.n_heads, 3);
        end(&u);
    }
}

static void test_http2__fields(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/hold",
                   "x-a", "1", "x-a", "2", "x-b", "", NULL);
    speak(&u);
    assert_non_null(u.held);
    if (!u.held)
        return;
    assert_int_equal(u.held->n_fields, 3);
    assert_int_equal(md_http2_field_count(u.held, "X-A"), 2);
    assert_true(md_slice_eq(md_http2_field_get(u.held, "x-a"), "1"));
    assert_non_null(md_http2_field_get(u.held, "x-b").data);
    assert_null(md_http2_field_get(u.held, "x-c").data);
    assert_null(md_http2_query(u.held).data);
    answer(u.held, 404);
    hear(&u);
    expect(&u, "HEADERS 1 :status=404 content-length=0 end\n");
    end(&u);
}

static void test_http2__continue_and_trailers(void **state)
{
    md_buf block;
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS, "POST", "/t", "expect",
                   "100-continue", NULL);
    speak(&u);
    expect(&u, "HEADERS 1 :status=100\n");
    h2_put_frame(&u.in, H2_DATA, 0, 1, "x", 1);
    md_buf_init(&block, md_alloc_default(), 100);
    h2_put_fields(&block, "checksum", "7", NULL);
    h2_put_frame(&u.in, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1,
                 block.data, block.size);
    md_buf_release(&block);
    speak(&u);
    expect(&u, "HEADERS 1 :status=200 content-length=9 x-test=Yes\n"
               "DATA 1 'POST /t x' end\n");
    end(&u);
}

/* ---- limits ---- */

static void test_http2__limits(void **state)
{
    char path[LINE_SIZE + 2], value[HEAD_SIZE];
    user u;

    (void)state;
    memset(path, 'p', sizeof(path) - 1);
    path[0] = '/';
    path[LINE_SIZE + 1] = '\0';
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", path, NULL);
    speak(&u);
    expect_part(&u, "HEADERS 1 :status=414");
    path[LINE_SIZE] = '\0';
    h2_put_request(&u.in, 3, H2_END_HEADERS | H2_END_STREAM, "GET", path, NULL);
    h2_put_request(&u.in, 5, H2_END_HEADERS | H2_END_STREAM, "GET", "/", "x",
                   value, NULL);
    h2_put_request(&u.in, 7, H2_END_HEADERS | H2_END_STREAM, "GET", "/", "a",
                   "", "b", "", "c", "", "d", "", "e", "", NULL);
    h2_put_request(&u.in, 9, H2_END_HEADERS, "POST", "/", "content-length",
                   "100001", NULL);
    h2_put_request(&u.in, 11, H2_END_HEADERS | H2_END_STREAM, "GET", "/", "a",
                   "", "b", "", "c", "", "d", "", NULL);
    speak(&u);
    expect_part(&u, "HEADERS 3 :status=200");
    expect_part(&u, "HEADERS 5 :status=431");
    expect_part(&u, "HEADERS 7 :status=431");
    expect_part(&u, "HEADERS 9 :status=413");
    expect_part(&u, "HEADERS 11 :status=200");
    /* The rest of it is not wanted. */
    expect_part(&u, "RST_STREAM 9 0\n");
    assert_int_equal(md_http2_n_streams(u.h), 0);
    end(&u);
}

static void put_body(user *u, uint32_t stream, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece)
        h2_put_frame(&u->in, H2_DATA, 0, stream, NULL,
                     size - at < piece ? size - at : piece);
}

static void test_http2__body_limit_is_exact(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS, "POST", "/", NULL);
    put_body(&u, 1, BODY_SIZE, 16384);
    h2_put_frame(&u.in, H2_DATA, H2_END_STREAM, 1, NULL, 0);
    h2_put_request(&u.in, 3, H2_END_HEADERS, "POST", "/", NULL);
    put_body(&u, 3, BODY_SIZE + 1, 16384);
    speak(&u);
    expect_part(&u, "HEADERS 1 :status=200");
    expect_part(&u, "HEADERS 3 :status=413");
    expect_part(&u, "RST_STREAM 3 0\n");
    /* What still comes harms nobody, and the window is given back: more than
     * a window of it can come. */
    for (int i = 0; i < 20; i++) {
        put_body(&u, 3, BODY_SIZE, 16384);
        speak(&u);
    }
    h2_put_request(&u.in, 5, H2_END_HEADERS | H2_END_STREAM, "GET", "/", NULL);
    speak(&u);
    expect_part(&u, "HEADERS 5 :status=200");
    end(&u);
}

static void test_http2__tiny_pieces_take_no_memory(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS, "POST", "/", NULL);
    put_body(&u, 1, BODY_SIZE, 1);
    h2_put_frame(&u.in, H2_DATA, H2_END_STREAM, 1, NULL, 0);
    speak(&u);
    expect_part(&u, "HEADERS 1 :status=200");
    assert_false(md_http2_is_flooded(u.h));
    end(&u);
}

/* ---- flow control ---- */

static void test_http2__bodies_wait_until_they_are_taken(void **state)
{
    const uint32_t n = MD_HTTP2_STREAM_WINDOW_SIZE;
    user u;

    (void)state;
    begin(&u, NULL);
    u.limits.body_size_max = (size_t)4 * n;
    h2_put_request(&u.in, 1, H2_END_HEADERS, "POST", "/slow", NULL);
    put_body(&u, 1, n, 16384);
    speak(&u);
    expect(&u, "");
    h2_put_frame(&u.in, H2_DATA, 0, 1, "x", 1);
    speak(&u);
    expect(&u, "RST_STREAM 1 3\n"); /* FLOW_CONTROL_ERROR */
    /* The connection's window is whole again. */
    h2_put_request(&u.in, 3, H2_END_HEADERS, "POST", "/slow", NULL);
    put_body(&u, 3, n, 16384);
    h2_put_request(&u.in, 5, H2_END_HEADERS, "POST", "/slow", NULL);
    put_body(&u, 5, n, 16384);
    speak(&u);
    expect(&u, "");
    end(&u);
}

static void test_http2__replies_wait_for_the_window(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    /* INITIAL_WINDOW_SIZE 3 */
    h2_put_frame(&u.in, H2_SETTINGS, 0, 0, "\0\4\0\0\0\3", 6);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/abc",
                   NULL);
    speak(&u);
    expect(&u, "HEADERS 1 :status=200 content-length=9 x-test=Yes\n"
               "DATA 1 'GET'\n");
    h2_put_number(&u.in, H2_WINDOW_UPDATE, 1, 4);
    speak(&u);
    expect(&u, "DATA 1 ' /ab'\n");
    h2_put_number(&u.in, H2_WINDOW_UPDATE, 1, 9);
    speak(&u);
    expect(&u, "DATA 1 'c ' end\n");
    end(&u);
}

static void test_http2__replies_in_parts(void **state)
{
    const md_http2_reply r = { .status = 200, .more = true };
    md_error err = MD_ERROR_INIT;
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/hold",
                   NULL);
    speak(&u);
    assert_non_null(u.held);
    if (!u.held)
        return;
    assert_md_ok(md_http2_answer(u.held, &r, &err), &err);
    hear(&u);
    expect(&u, "HEADERS 1 :status=200\n");
    md_http2_send(u.held, md_slice_of("one"));
    hear(&u);
    expect(&u, "DATA 1 'one'\n");
    md_http2_send(u.held, md_slice_of("two"));
    hear(&u);
    expect(&u, "DATA 1 'two'\n");
    assert_int_equal(u.held->sent, 6);
    md_http2_end(u.held, md_slice_of("Grpc-Status: 0\r\n"));
    hear(&u);
    expect_part(&u, "HEADERS 1 grpc-status=0 end\n");
    assert_null(u.held);
    end(&u);
}

/* ---- attacks ---- */

/* Put one round of something that brings nothing. */
typedef void flood_fn(user *u, uint32_t i);

static void put_ping(user *u, uint32_t i)
{
    (void)i;
    h2_put_frame(&u->in, H2_PING, 0, 0, NULL, 8);
}

static void put_settings(user *u, uint32_t i)
{
    (void)i;
    h2_put_frame(&u->in, H2_SETTINGS, 0, 0, NULL, 0);
}

static void put_window(user *u, uint32_t i)
{
    (void)i;
    h2_put_number(&u->in, H2_WINDOW_UPDATE, 0, 1);
}

static void put_priority(user *u, uint32_t i)
{
    h2_put_frame(&u->in, H2_PRIORITY, 0, 2 * i + 1, "\0\0\0\0\1", 5);
}

static void put_reset(user *u, uint32_t i)
{
    h2_put_request(&u->in, 2 * i + 1, H2_END_HEADERS | H2_END_STREAM, "GET",
                   "/hold", NULL);
    h2_put_number(&u->in, H2_RST_STREAM, 2 * i + 1, 8);
}

/* The server has to give the stream up (CVE-2025-8671). */
static void put_provoked_reset(user *u, uint32_t i)
{
    h2_put_request(&u->in, 2 * i + 1, H2_END_HEADERS | H2_END_STREAM, "GET",
                   "/hold", NULL);
    h2_put_number(&u->in, H2_WINDOW_UPDATE, 2 * i + 1, 0);
}

static void put_empty_data(user *u, uint32_t i)
{
    if (i == 0)
        h2_put_request(&u->in, 1, H2_END_HEADERS, "POST", "/", NULL);
    h2_put_frame(&u->in, H2_DATA, 0, 1, NULL, 0);
}

static void put_continuation(user *u, uint32_t i)
{
    if (i == 0)
        h2_put_request(&u->in, 1, 0, "GET", "/", NULL);
    h2_put_frame(&u->in, H2_CONTINUATION, 0, 1, NULL, 0);
}

static void put_large_head(user *u, uint32_t i)
{
    char value[2000];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    h2_put_request(&u->in, 2 * i + 1, H2_END_HEADERS | H2_END_STREAM, "GET",
                   "/hold", "x", value, NULL);
}

static void test_http2__floods_are_cut_off(void **state)
{
    static flood_fn *const floods[] = { put_ping,       put_settings,
                                        put_window,     put_priority,
                                        put_reset,      put_provoked_reset,
                                        put_empty_data, put_continuation,
                                        put_large_head };

    (void)state;
    for (size_t k = 0; k < MD_COUNT(floods); k++) {
        const uint64_t before = md_mem_stat_get(MD_MEM_net).bytes;
        md_error err = MD_ERROR_INIT;
        md_status s = MD_OK;
        uint32_t i = 0;
        user u;

        begin(&u, md_alloc_tagged(MD_MEM_net));
        for (; s == MD_OK && i < 20000; i++) {
            u.now_ms = i / 100; /* 100,000 in a second */
            floods[k](&u, i);
            s = speak_in(&u, SIZE_MAX / 2, &err);
            if (s == MD_OK && md_http2_is_over(u.h))
                s = MD_INVALID; /* the library has seen to it */
            if (i % 16 == 0)
                hear(&u);
            assert_in_range(md_mem_stat_get(MD_MEM_net).bytes - before, 0,
                            1 << 20);
        }
        if (s == MD_OK)
            fail_msg("flood %zu goes on for ever", k);
        hear(&u);
        expect_part(&u, "GOAWAY ");
        end(&u);
    }
}

/* A client that cancels now and then, pings and opens windows beside its
 * requests goes on for ever. */
static void test_http2__busy_clients_are_not(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    for (uint32_t i = 0; i < 20000; i++) {
        u.now_ms = i / 20; /* 20,000 in a second */
        h2_put_request(&u.in, 2 * i + 1, H2_END_HEADERS, "POST", "/", NULL);
        put_ping(&u, i);
        h2_put_number(&u.in, H2_WINDOW_UPDATE, 0, 16);
        if (i % 100 == 0)
            h2_put_number(&u.in, H2_RST_STREAM, 2 * i + 1, 8);
        else
            h2_put_frame(&u.in, H2_DATA, H2_END_STREAM, 2 * i + 1, "x", 1);
        speak(&u);
        md_buf_reset(&u.r.words);
    }
    assert_false(md_http2_is_flooded(u.h));
    end(&u);
}

static void test_http2__streams_and_heads_are_bounded(void **state)
{
    const uint64_t before = md_mem_stat_get(MD_MEM_net).bytes;
    char value[8000];
    user u;

    (void)state;
    begin(&u, md_alloc_tagged(MD_MEM_net));
    u.limits.head_size_max = 32 * 1024;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (uint32_t i = 0; i < 200; i++) {
        h2_put_request(&u.in, 2 * i + 1, H2_END_HEADERS, "POST", "/hold", "x",
                       value, NULL);
        speak(&u);
    }
    expect_part(&u, " 7\n"); /* REFUSED_STREAM */
    assert_in_range(u.n_streams_max, 40, MD_HTTP2_STREAMS_MAX);
    assert_in_range(md_mem_stat_get(MD_MEM_net).bytes - before, 0, 1 << 20);
    end(&u);
}

/* ---- what is no HTTP/2 ---- */

static void test_http2__unknown_frames_are_ignored(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    for (int i = 0; i < 1000; i++)
        h2_put_frame(&u.in, 0x77, 0xff, (uint32_t)i, NULL, (size_t)i);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/", NULL);
    speak(&u);
    expect_part(&u, "HEADERS 1 :status=200");
    end(&u);
}

static void test_http2__malformed(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } fields[] = {
        { "X-Upper", "a", "RST_STREAM 1 1" },
        { "x", "a\r\nb: c", "RST_STREAM 1 1" },
        { "connection", "close", "RST_STREAM 1 1" },
        { "transfer-encoding", "chunked", "RST_STREAM 1 1" },
        { "te", "gzip", "RST_STREAM 1 1" },
        { ":path", "/two", "RST_STREAM 1 1" },
        { ":unknown", "x", "RST_STREAM 1 1" },
        { "content-length", "5", "RST_STREAM 1 1" },
        { "content-length", "-1", "RST_STREAM 1 1" },
    };
    user u;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(fields); i++) {
        begin(&u, NULL);
        h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/",
                       fields[i].name, fields[i].value, NULL);
        speak(&u);
        expect_part(&u, fields[i].want);
        assert_int_equal(md_http2_n_streams(u.h), 0);
        end(&u);
    }
}

static void test_http2__malformed_frames(void **state)
{
    static const struct {
        int type, flags;
        uint32_t stream;
        size_t size;
        const char *want; /* its connection ends */
    } frames[] = {
        { H2_DATA, 0, 0, 1, "GOAWAY 0 1" },
        { H2_DATA, 0, 1, 1, "GOAWAY 0 1" }, /* an idle stream */
        { H2_HEADERS, H2_END_HEADERS, 2, 1, "GOAWAY 0 1" },
        { H2_HEADERS, H2_END_HEADERS, 0, 1, "GOAWAY 0 1" },
        { H2_SETTINGS, 0, 1, 0, "GOAWAY 0 1" },
        { H2_SETTINGS, 0, 0, 5, "GOAWAY 0 6" },
        { H2_SETTINGS, H2_ACK, 0, 6, "GOAWAY 0 6" },
        { H2_PING, 0, 0, 7, "GOAWAY 0 6" },
        { H2_PING, 0, 1, 8, "GOAWAY 0 1" },
        { H2_RST_STREAM, 0, 1, 4, "GOAWAY 0 1" },
        { H2_RST_STREAM, 0, 0, 4, "GOAWAY 0 1" },
        { H2_WINDOW_UPDATE, 0, 0, 4, "GOAWAY 0 1" },
        { H2_WINDOW_UPDATE, 0, 0, 3, "GOAWAY 0 6" },
        { H2_PUSH_PROMISE, H2_END_HEADERS, 1, 4, "GOAWAY 0 1" },
        { H2_CONTINUATION, H2_END_HEADERS, 1, 1, "GOAWAY 0 1" },
        { H2_DATA, 0, 1, 16385, "GOAWAY 0 6" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(frames); i++) {
        md_error err = MD_ERROR_INIT;
        user u;

        begin(&u, NULL);
        h2_put_frame(&u.in, frames[i].type, frames[i].flags, frames[i].stream,
                     NULL, frames[i].size);
        (void)speak_in(&u, SIZE_MAX / 2, &err);
        hear(&u);
        if (!strstr(h2_words(&u.r), frames[i].want))
            fail_msg("frame %zu: '%s'", i, h2_words(&u.r));
        assert_true(md_http2_is_over(u.h));
        end(&u);
    }
}

/* ---- endings ---- */

static void test_http2__says_goodbye(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS | H2_END_STREAM, "GET", "/hold",
                   NULL);
    speak(&u);
    md_http2_goaway(u.h, false);
    md_http2_goaway(u.h, false); /* says it once */
    hear(&u);
    expect(&u, "GOAWAY 2147483647 0\n");
    h2_put_request(&u.in, 3, H2_END_HEADERS | H2_END_STREAM, "GET", "/", NULL);
    speak(&u);
    expect_part(&u, "HEADERS 3 :status=200"); /* it was on its way */
    md_http2_goaway(u.h, true);
    h2_put_request(&u.in, 5, H2_END_HEADERS | H2_END_STREAM, "GET", "/", NULL);
    hear(&u);
    expect_part(&u, "GOAWAY 3 0\n");
    speak(&u);
    assert_false(md_http2_is_over(u.h));
    assert_non_null(u.held);
    if (u.held)
        answer(u.held, 200);
    hear(&u);
    expect_part(&u, "HEADERS 1 :status=200");
    assert_null(strstr(h2_words(&u.r), "HEADERS 5"));
    assert_true(md_http2_is_over(u.h));
    end(&u);
}

static void test_http2__streams_are_told_of_the_end(void **state)
{
    user u;

    (void)state;
    begin(&u, NULL);
    h2_put_request(&u.in, 1, H2_END_HEADERS, "POST", "/slow", NULL);
    h2_put_request(&u.in, 3, H2_END_HEADERS | H2_END_STREAM, "GET", "/hold",
                   NULL);
    h2_put_request(&u.in, 5, H2_END_HEADERS, "POST", "/slow", NULL);
    speak(&u);
    assert_int_equal(md_http2_n_streams(u.h), 3);
    h2_put_number(&u.in, H2_RST_STREAM, 3, 8);
    speak(&u);
    assert_null(u.held);
    assert_int_equal(md_http2_n_streams(u.h), 2);
    end(&u); /* all are closed */
}

static void test_http2__out_of_memory(void **state)
{
    fail_alloc fa;
    bool failed = true;

    (void)state;
    fail_alloc_init(&fa);
    for (int n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        user u;

        assert_in_range(n, 0, 1000);
        begin(&u, &fa.alloc);
        put_story(&u.in);
        fail_alloc_arm(&fa, n);
        if (speak_in(&u, 7, &err) == MD_OK) {
            md_buf_reset(&u.out);
            (void)md_http2_pull(u.h, &u.out, OUT_MAX / 2, &err);
        }
        failed = fail_alloc_disarm(&fa);
        end(&u);
        assert_int_equal(fa.n_live, 0);
    }
    for (int n = 0; n < 100; n++) {
        md_http1_limits limits = MD_HTTP1_LIMITS_INIT;
        md_error err = MD_ERROR_INIT;
        md_http2 *h = NULL;

        fail_alloc_arm(&fa, n);
        if (md_http2_new(&h, &limits, &HOOKS, NULL, &fa.alloc, &err) == MD_OK)
            md_http2_free(h);
        else
            assert_int_equal(err.status, MD_NOMEM);
        (void)fail_alloc_disarm(&fa);
        assert_int_equal(fa.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2__preface),
        cmocka_unit_test(test_http2__requests_in_pieces_of_any_size),
        cmocka_unit_test(test_http2__fields),
        cmocka_unit_test(test_http2__continue_and_trailers),
        cmocka_unit_test(test_http2__limits),
        cmocka_unit_test(test_http2__body_limit_is_exact),
        cmocka_unit_test(test_http2__tiny_pieces_take_no_memory),
        cmocka_unit_test(test_http2__bodies_wait_until_they_are_taken),
        cmocka_unit_test(test_http2__replies_wait_for_the_window),
        cmocka_unit_test(test_http2__replies_in_parts),
        cmocka_unit_test(test_http2__floods_are_cut_off),
        cmocka_unit_test(test_http2__busy_clients_are_not),
        cmocka_unit_test(test_http2__streams_and_heads_are_bounded),
        cmocka_unit_test(test_http2__unknown_frames_are_ignored),
        cmocka_unit_test(test_http2__malformed),
        cmocka_unit_test(test_http2__malformed_frames),
        cmocka_unit_test(test_http2__says_goodbye),
        cmocka_unit_test(test_http2__streams_are_told_of_the_end),
        cmocka_unit_test(test_http2__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
