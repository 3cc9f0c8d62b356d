#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "net/http1.h"
#include "support/guard.h"

/* Small limits, so that the tests can pass them. */
static const md_http1_limits LIMITS = {
    .line_size_max = 64,
    .head_size_max = 256,
    .n_fields_max = 6,
    .body_size_max = 1000,
};

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void open_core(md_http1 *h, const md_http1_limits *limits)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_http1_init(h, limits, md_alloc_default(), &err), &err);
}

static void assert_slice(md_slice got, const char *want)
{
    if (!md_slice_eq(got, want))
        fail_msg("'%.*s' is not '%s'", (int)got.size, got.data, want);
}

/* Feed all of it in pieces of `step` bytes, past MD_HTTP1_HEAD. */
static md_http1_event feed_by(md_http1 *h, const char *text, size_t size,
                              size_t step)
{
    md_http1_event e = MD_HTTP1_MORE;

    for (size_t at = 0; at < size;) {
        size_t n = size - at < step ? size - at : step;
        size_t used = 0;

        e = md_http1_feed(h, text + at, n, &used);
        at += used;
        if (e == MD_HTTP1_HEAD)
            e = md_http1_step(h);
        if (e == MD_HTTP1_DONE || e == MD_HTTP1_ERROR)
            break;
    }
    return e;
}

/* ---- what is accepted ---- */

typedef struct accepted {
    const char *text;
    const char *method;
    const char *path;
    const char *query;
    const char *host;
    const char *body;
    bool keep_alive;
} accepted;

static const accepted GOOD[] = {
    { GET HOST "\r\n", "GET", "/", "", "a", "", true },
    { "\r\n" GET HOST "\r\n", "GET", "/", "", "a", "", true },
    { "GET /a/b?c=d&e=%20 HTTP/1.1\r\nhOsT:\ta:80 \t\r\n\r\n", "GET", "/a/b",
      "c=d&e=%20", "a:80", "", true },
    { "GET /? HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "", "", "", true },
    { "GET http://b:1/p?q HTTP/1.1\r\n" HOST "\r\n", "GET", "/p", "q", "b:1",
      "", true },
    { "GET HTTP://b HTTP/1.1\r\n" HOST "\r\n", "GET", "/", "", "b", "", true },
    { "GET https://b?q HTTP/1.1\r\n" HOST "\r\n", "GET", "/", "q", "b", "",
      true },
    { "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS", "*", "", "a", "", true },
    { GET "Host: [::1]:80\r\n\r\n", "GET", "/", "", "[::1]:80", "", true },
    { GET "Host: [fe80::1%25en0]\r\n\r\n", "GET", "/", "", "[fe80::1%25en0]",
      "", true },
    { GET "Host: a:\r\n\r\n", "GET", "/", "", "a:", "", true },
    { "GET http://[::1]/ HTTP/1.1\r\n" HOST "\r\n", "GET", "/", "", "[::1]", "",
      true },
    { "M-SEARCH / HTTP/1.1\r\n" HOST "\r\n", "M-SEARCH", "/", "", "a", "",
      true },
    { "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", "", "", false },
    { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", "", "",
      "", true },
    { GET HOST "Connection: foo, CLOSE\r\n\r\n", "GET", "/", "", "a", "",
      false },
    { GET HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", "GET",
      "/", "", "a", "", false },
    { "GET / HTTP/1.7\r\n" HOST "\r\n", "GET", "/", "", "a", "", true },
    { POST "Content-Length: 0\r\n\r\n", "POST", "/x", "", "a", "", true },
    { POST "Content-Length: 5\r\n\r\nhello", "POST", "/x", "", "a", "hello",
      true },
    { POST "content-length:0005  \r\n\r\n\r\n\r\n\r", "POST", "/x", "", "a",
      "\r\n\r\n\r", true },
    { CHUNKED "0\r\n\r\n", "POST", "/x", "", "a", "", true },
    { CHUNKED "5\r\nhello\r\n0\r\n\r\n", "POST", "/x", "", "a", "hello", true },
    { CHUNKED "1;x=y\r\nh\r\n0003;\"q\"\r\nabc\r\n0\r\n\r\n", "POST", "/x", "",
      "a", "habc", true },
    { CHUNKED "2\r\nhe\r\nA\r\nllo world!\r\n000\r\n\r\n", "POST", "/x", "",
      "a", "hello world!", true },
    { CHUNKED "1\r\nx\r\n0;last\r\nDigest: z\r\nHost: evil\r\n\r\n", "POST",
      "/x", "", "a", "x", true },
    { POST "Transfer-Encoding: CHUNKED\r\n\r\n1\r\n\n\r\n0\r\n\r\n", "POST",
      "/x", "", "a", "\n", true },
};

/* Whole, byte by byte and in two pieces cut at every position. */
static void test_http1__accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(GOOD); i++) {
        const accepted *g = &GOOD[i];
        size_t size = strlen(g->text);

        for (size_t step = 1; step <= size; step++) {
            md_http1 h;

            open_core(&h, &LIMITS);
            if (feed_by(&h, g->text, size, step) != MD_HTTP1_DONE)
                fail_msg("'%s' by %zu: %s", g->text, step,
                         h.error_text[0] ? h.error_text : "not done");
            assert_slice(md_http1_method(&h), g->method);
            assert_slice(md_http1_path(&h), g->path);
            assert_slice(md_http1_query(&h), g->query);
            assert_slice(md_http1_host(&h), g->host);
            assert_slice(md_http1_body(&h), g->body);
            assert_int_equal(md_http1_keep_alive(&h), g->keep_alive);
            md_http1_next(&h);
            assert_true(md_http1_is_idle(&h));
            md_http1_release(&h);
        }
    }
}

static void test_http1__body_of_any_bytes(void **state)
{
    static const char text[] = POST "Content-Length: 5\r\n\r\n\r\n\0\n\r";
    md_http1 h;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(feed_by(&h, text, sizeof(text) - 1, 3), MD_HTTP1_DONE);
    assert_int_equal(md_http1_body(&h).size, 5);
    assert_memory_equal(md_http1_body(&h).data, "\r\n\0\n\r", 5);
    md_http1_release(&h);
}

static void test_http1__fields(void **state)
{
    static const char text[] = GET HOST "X-A: 1\r\nx-a: 2\r\nX-Empty:\r\n"
                                        "X-Text: caf\xc3\xa9, \t tea  \r\n\r\n";
    md_http1 h;
    md_slice name;
    md_slice value;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(feed_by(&h, text, sizeof(text) - 1, 7), MD_HTTP1_DONE);
    assert_int_equal(h.n_fields, 5);
    assert_slice(md_http1_field_get(&h, "X-a"), "1");
    assert_slice(md_http1_field_get(&h, "x-empty"), "");
    assert_non_null(md_http1_field_get(&h, "x-empty").data);
    assert_null(md_http1_field_get(&h, "x-b").data);
    assert_slice(md_http1_field_get(&h, "x-text"), "caf\xc3\xa9, \t tea");
    assert_int_equal(md_http1_field_count(&h, "X-A"), 2);
    assert_int_equal(md_http1_field_count(&h, "x-b"), 0);
    md_http1_field_at(&h, 2, &name, &value);
    assert_slice(name, "x-a");
    assert_slice(value, "2");
    md_http1_release(&h);
}

/* ---- what is refused ---- */

typedef struct refused {
    int status;
    const char *text;
} refused;

#define FIELD(line) 400, GET HOST line "\r\n\r\n"
#define LONG_32 "0123456789abcdef0123456789abcdef"

static const refused BAD[] = {
    /* request line */
    { 400, "\x16\x03\x01" }, /* a TLS hello: at once */
    { 400, " GET / HTTP/1.1\r\n" },
    { 400, "\nGET / HTTP/1.1\r\n" },
    { 400, "\r\n\r\nGET / HTTP/1.1\r\n" },
    { 400, "\rGET / HTTP/1.1\r\n" },
    { 400, "GET\r\n" },
    { 400, "GET /\r\n" }, /* HTTP/0.9 */
    { 400, "GET  / HTTP/1.1\r\n" },
    { 400, "GET / HTTP/1.1 \r\n" },
    { 400, "GET / x HTTP/1.1\r\n" },
    { 400, "GET\t/ HTTP/1.1\r\n" },
    { 400, "G{T / HTTP/1.1\r\n" },
    { 400, "GET / HTTP/1.1\n" HOST "\n" },
    { 400, "GET / HTTP/1.1\r" HOST "\r\n" },
    { 400, "GET / http/1.1\r\n" },
    { 400, "GET / HTTP/1.10\r\n" },
    { 400, "GET / HTTP/11\r\n" },
    { 400, "GET / HTTP/1.x\r\n" },
    { 400, "GET / HTTX/1.1\r\n" },
    { 505, "GET / HTTP/2.0\r\n" },
    { 505, "GET / HTTP/0.9\r\n" },
    { 505, "PRI * HTTP/2.0\r\n" },
    { 400, "GET * HTTP/1.1\r\n" },
    { 400, "GET x HTTP/1.1\r\n" },
    { 400, "GET ftp://b/ HTTP/1.1\r\n" },
    { 400, "GET http:/// HTTP/1.1\r\n" },
    { 400, "GET http://a@b/ HTTP/1.1\r\n" },
    { 400, "GET /a#b HTTP/1.1\r\n" },
    { 400, "GET /a\"b HTTP/1.1\r\n" },
    { 400, "GET /\xc3\xa9 HTTP/1.1\r\n" },
    { 400, "GET /\x7f HTTP/1.1\r\n" },
    { 501, "CONNECT a:443 HTTP/1.1\r\n" },
    { 414, "GET /" LONG_32 LONG_32 " HTTP/1.1\r\n" },
    { 414, "GET /" LONG_32 LONG_32 }, /* without waiting for its end */
    /* fields */
    { FIELD("X") },
    { FIELD(": x") },
    { FIELD("X : x") },
    { FIELD("X\t: x") },
    { FIELD(" X: x") },
    { FIELD("\tX: x") },
    { FIELD("X: a\r\n b") },
    { FIELD("X: a\rb") },
    { FIELD("X: a\nb") },
    { FIELD("X: a\x01z") },
    { FIELD("X: a\x7f") },
    { FIELD("X\xc3\xa9: x") },
    { FIELD("(X): x") },
    { 400, GET "X: y\r\n\r\n" },
    { FIELD("Host: a") },
    { 400, GET "Host: a b\r\n\r\n" },
    { 400, GET "Host: a/b\r\n\r\n" },
    { 400, GET "Host: <a>\r\n\r\n" },
    { 400, GET "Host: a:b\r\n\r\n" },
    { 400, GET "Host: a:1:2\r\n\r\n" },
    { 400, GET "Host: a:-1\r\n\r\n" },
    { 400, GET "Host: [::1\r\n\r\n" },
    { 400, GET "Host: [::1]a\r\n\r\n" },
    { 400, GET "Host: a[::1]\r\n\r\n" },
    { 400, GET "Host: ::1\r\n\r\n" },
    { 400, "GET http://:80/ HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "GET http://a:b/ HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "GET http://[/ HTTP/1.1\r\n" HOST "\r\n" },
    { 417, GET HOST "Expect: 200-ok\r\n\r\n" },
    { 431, GET HOST
      "X: " LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 },
    { 431, GET HOST "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\n\r\n" },
    /* framing */
    { FIELD("Content-Length: ") },
    { FIELD("Content-Length: -1") },
    { FIELD("Content-Length: +1") },
    { FIELD("Content-Length: 1 1") },
    { FIELD("Content-Length: 0x1") },
    { FIELD("Content-Length: 1, 1") },
    { FIELD("Content-Length: 1\r\nContent-Length: 1") },
    { FIELD("Content-Length: 1\r\nContent-Length: 2") },
    { 413, GET HOST "Content-Length: 1001\r\n\r\n" },
    { 413, GET HOST "Content-Length: 18446744073709551617\r\n\r\n" },
    { 413, GET HOST "Content-Length: 99999999999999999999999999\r\n\r\n" },
    { FIELD("Content-Length: 1\r\nTransfer-Encoding: chunked") },
    { FIELD("Transfer-Encoding: chunked\r\nContent-Length: 0") },
    { FIELD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") },
    { 501, GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" },
    { 501, GET HOST "Transfer-Encoding: identity\r\n\r\n" },
    { 501, GET HOST "Transfer-Encoding: xchunked\r\n\r\n" },
    { 501, GET HOST "Transfer-Encoding: \r\n\r\n" },
    { 400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
    /* chunks */
    { 400, CHUNKED "\r\n" },
    { 400, CHUNKED "g\r\n" },
    { 400, CHUNKED "-1\r\n" },
    { 400, CHUNKED "0x1\r\n" },
    { 400, CHUNKED " 1\r\n" },
    { 400, CHUNKED "1 \r\n" },
    { 400, CHUNKED "1;\x01\r\n" },
    { 400, CHUNKED "1;a\rb\r\n" },
    { 400, CHUNKED "1\nx\r\n" },
    { 400, CHUNKED "1\r\nxy" },
    { 400, CHUNKED "1\r\nx\n" },
    { 400, CHUNKED "1\r\nx\rz" },
    { 400, CHUNKED
      "1;" LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 },
    { 413, CHUNKED "3e9\r\n" },
    { 413, CHUNKED "3e8\r\n" }, /* 1000 fits; the test sends a second one */
    { 413, CHUNKED "10000000000000001\r\n" },
    { 413, CHUNKED "ffffffffffffffff\r\n" },
    { 400, CHUNKED "0\r\nx\r\n" },
    { 400, CHUNKED "0\r\n x: y\r\n" },
    { 400, CHUNKED "0\r\nx: a\x02\r\n" },
    { 431, CHUNKED "0\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\n" },
    { 431, CHUNKED "0\r\nX: " LONG_32 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32
               LONG_32 LONG_32 },
};

static void test_http1__refuses(void **state)
{
    static const char more[] = "\r\n1\r\n";

    (void)state;
    for (size_t i = 0; i < MD_COUNT(BAD); i++) {
        const char *text = BAD[i].text;
        size_t size = strlen(text);

        for (size_t step = 1; step <= size; step++) {
            md_http1 h;
            md_http1_event e;

            open_core(&h, &LIMITS);
            e = feed_by(&h, text, size, step);
            if (e == MD_HTTP1_MORE && strstr(text, "3e8")) {
                char data[1000] = { 0 };

                (void)feed_by(&h, data, sizeof(data), step);
                e = feed_by(&h, more, sizeof(more) - 1, step);
            }
            if (e != MD_HTTP1_ERROR || h.error_status != BAD[i].status)
                fail_msg("'%s' by %zu: event %d, status %d, not %d (%s)", text,
                         step, (int)e, h.error_status, BAD[i].status,
                         h.error_text);
            assert_int_equal(md_http1_step(&h), MD_HTTP1_ERROR);
            assert_false(md_http1_keep_alive(&h));
            md_http1_release(&h);
        }
    }
}

/* ---- events, limits, memory ---- */

static void test_http1__head_comes_before_the_body(void **state)
{
    static const char head[] =
        POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
    md_http1 h;
    size_t used = 0;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(md_http1_feed(&h, head, sizeof(head) - 1, &used),
                     MD_HTTP1_HEAD);
    assert_int_equal(used, sizeof(head) - 1);
    assert_true(h.expects_continue);
    assert_true(md_http1_in_body(&h));
    assert_slice(md_http1_path(&h), "/x");
    assert_int_equal(md_http1_step(&h), MD_HTTP1_MORE);
    assert_int_equal(md_http1_feed(&h, "ab", 2, &used), MD_HTTP1_MORE);
    assert_int_equal(md_http1_body_received(&h), 2);
    assert_int_equal(md_http1_feed(&h, "c", 1, &used), MD_HTTP1_DONE);
    assert_false(md_http1_in_body(&h));
    assert_int_equal(md_http1_step(&h), MD_HTTP1_DONE);
    md_http1_release(&h);
}

static void test_http1__expectation_of_http10_is_ignored(void **state)
{
    static const char text[] = "POST / HTTP/1.0\r\nContent-Length: 1\r\n"
                               "Expect: 100-continue\r\n\r\nx";
    md_http1 h;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(feed_by(&h, text, sizeof(text) - 1, 100), MD_HTTP1_DONE);
    assert_false(h.expects_continue);
    md_http1_release(&h);
}

static void test_http1__pipelined_requests(void **state)
{
    static const char text[] =
        GET HOST "\r\n" POST "Content-Length: 2\r\n\r\nhi" CHUNKED
                 "3\r\nabc\r\n0\r\n\r\n" GET HOST "Connection: close\r\n\r\n";
    static const char *bodies[] = { "", "hi", "abc", "" };
    md_http1 h;

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        size_t at = 0;

        open_core(&h, &LIMITS);
        for (size_t i = 0; i < MD_COUNT(bodies); i++) {
            md_http1_event e = md_http1_step(&h);

            while (e == MD_HTTP1_MORE || e == MD_HTTP1_HEAD) {
                size_t used = 0;
                size_t n = sizeof(text) - 1 - at;

                e = md_http1_feed(&h, text + at, n < step ? n : step, &used);
                at += used;
            }
            assert_int_equal(e, MD_HTTP1_DONE);
            assert_slice(md_http1_body(&h), bodies[i]);
            assert_int_equal(md_http1_keep_alive(&h), i + 1 < MD_COUNT(bodies));
            md_http1_next(&h);
        }
        assert_int_equal(at, sizeof(text) - 1);
        assert_true(md_http1_is_idle(&h));
        md_http1_release(&h);
    }
}

/* A request exactly at every limit passes, one byte more does not. */
static void test_http1__limits_are_exact(void **state)
{
    char text[512];
    size_t used = 0;

    (void)state;
    for (int over = 0; over <= 1; over++) {
        md_http1 h;
        /* "GET /" + pad + " HTTP/1.1" is 64 bytes with its CR */
        int n = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\n" HOST,
                         49 + over, 0);

        open_core(&h, &LIMITS);
        md_http1_feed(&h, text, (size_t)n, &used);
        assert_int_equal(h.error_status, over ? 414 : 0);
        assert_string_equal(
            h.error_text,
            over ? "request line is longer than the limit of 64 bytes" : "");
        md_http1_release(&h);
    }
    for (int over = 0; over <= 1; over++) {
        md_http1 h;
        int n = snprintf(text, sizeof(text), GET HOST "X: ");

        /* up to the CR of the empty line: 256 bytes, LF not counted */
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%0*d\r\n\r\n",
                      256 - n - 3 + over, 0);
        open_core(&h, &LIMITS);
        md_http1_feed(&h, text, (size_t)n, &used);
        assert_int_equal(h.error_status, over ? 431 : 0);
        assert_string_equal(h.error_text,
                            over ? "head is longer than the limit of 256 bytes"
                                 : "");
        md_http1_release(&h);
    }
    for (int over = 0; over <= 1; over++) {
        md_http1 h;
        int n = snprintf(text, sizeof(text), POST "Content-Length: %d\r\n\r\n",
                         1000 + over);

        open_core(&h, &LIMITS);
        md_http1_feed(&h, text, (size_t)n, &used);
        assert_int_equal(h.error_status, over ? 413 : 0);
        assert_string_equal(h.error_text,
                            over ? "body is larger than the limit of 1000 bytes"
                                 : "");
        md_http1_release(&h);
    }
}

/* The attack on Triton (CVE-2025-23310): many tiny chunks. */
static void test_http1__tiny_chunks_take_no_memory(void **state)
{
    const md_http1_limits limits = { .line_size_max = 1024,
                                     .head_size_max = 1024,
                                     .n_fields_max = 8,
                                     .body_size_max = 100000 };
    static const char head[] = CHUNKED;
    static const char tail[] = "0\r\n\r\n";
    static char block[6000];
    md_http1 h;
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = "1\r\nx\r\n"[i % 6];
    open_core(&h, &limits);
    (void)feed_by(&h, head, sizeof(head) - 1, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(feed_by(&h, block, sizeof(block), sizeof(block)),
                         MD_HTTP1_MORE);
    assert_true(h.in.cap <= 262144);
    assert_int_equal(md_http1_feed(&h, tail, sizeof(tail) - 1, &used),
                     MD_HTTP1_DONE);
    assert_int_equal(md_http1_body(&h).size, 100000);
    md_http1_release(&h);
}

/* Framing is not counted as body, so it needs a bound of its own: what is
 * behind the digits of all sizes, and zeros before them. */
static void test_http1__framing_is_bounded(void **state)
{
    static const struct {
        const char *chunk;
        int n_fit; /* 16 KiB / bytes without need in one chunk's size line */
    } cases[] = {
        { "1;" LONG_32 LONG_32 LONG_32 "0123456789abcde\r\nx\r\n", 146 },
        { "0000000000000000000000000000000" /* 31 */ "1\r\nx\r\n", 528 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        size_t size = strlen(cases[i].chunk);
        int n = 0;
        md_http1 h;

        open_core(&h, &LIMITS);
        assert_int_equal(feed_by(&h, CHUNKED, strlen(CHUNKED), 1000),
                         MD_HTTP1_MORE);
        while (feed_by(&h, cases[i].chunk, size, 1000) == MD_HTTP1_MORE)
            n++;
        assert_int_equal(n, cases[i].n_fit);
        assert_int_equal(h.error_status, 400);
        assert_string_equal(h.error_text,
                            "chunk framing is longer than the limit");
        md_http1_release(&h);
    }
}

/* Old clients end a body with a line end that it does not count. */
static void test_http1__line_end_behind_a_body(void **state)
{
    static const char text[] = POST "Content-Length: 1\r\n\r\nx\r\n";
    size_t used = 0;
    md_http1 h;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(feed_by(&h, text, sizeof(text) - 3, 100), MD_HTTP1_DONE);
    md_http1_next(&h);
    assert_int_equal(md_http1_feed(&h, "\r", 1, &used), MD_HTTP1_MORE);
    assert_false(md_http1_is_idle(&h));
    assert_int_equal(md_http1_feed(&h, "\n", 1, &used), MD_HTTP1_MORE);
    assert_true(md_http1_is_idle(&h));
    assert_int_equal(feed_by(&h, GET HOST "\r\n", 27, 100), MD_HTTP1_DONE);
    assert_slice(md_http1_path(&h), "/");
    md_http1_release(&h);
}

static void test_http1__the_caller_refuses(void **state)
{
    static const char text[] = POST "Content-Length: 9\r\n\r\nabc";
    md_http1 h;

    (void)state;
    open_core(&h, &LIMITS);
    assert_int_equal(md_http1_capacity(&h), 0);
    assert_int_equal(feed_by(&h, text, sizeof(text) - 1, 100), MD_HTTP1_MORE);
    assert_in_range(md_http1_capacity(&h), sizeof(text), 64 * 1024);
    md_http1_refuse(&h, 503, "not now");
    assert_int_equal(feed_by(&h, "defghi", 6, 100), MD_HTTP1_ERROR);
    assert_int_equal(h.error_status, 503);
    assert_string_equal(h.error_text, "not now");
    assert_false(md_http1_keep_alive(&h));
    assert_slice(md_http1_method(&h), "POST");
    md_http1_release(&h);
    assert_int_equal(md_http1_capacity(&h), 0);
}

static void test_http1__large_body_is_not_kept(void **state)
{
    md_http1_limits limits = MD_HTTP1_LIMITS_INIT;
    static const char head[] = POST "Content-Length: 1000000\r\n\r\n";
    static char block[100000];
    md_http1 h;

    (void)state;
    open_core(&h, &limits);
    (void)feed_by(&h, head, sizeof(head) - 1, 100);
    /* a length alone costs nothing */
    assert_true(h.in.cap <= 65536);
    for (int i = 0; i < 10; i++)
        (void)feed_by(&h, block, sizeof(block), sizeof(block));
    assert_int_equal(md_http1_step(&h), MD_HTTP1_DONE);
    assert_int_equal(md_http1_body(&h).size, 1000000);
    md_http1_next(&h);
    assert_int_equal(h.in.cap, 0);
    md_http1_release(&h);
}

static void test_http1__limits_must_make_sense(void **state)
{
    md_http1_limits limits = MD_HTTP1_LIMITS_INIT;
    md_error err = MD_ERROR_INIT;
    md_http1 h;

    (void)state;
    limits.body_size_max = SIZE_MAX / 16;
    assert_md_fails(md_http1_init(&h, &limits, md_alloc_default(), &err),
                    MD_INVALID, &err, "body limit 1152921504606846975");
}

static void *no_alloc(void *ctx, size_t size, size_t align)
{
    int *left = ctx;

    (void)align;
    return (*left)-- > 0 ? md_malloc(md_alloc_default(), size) : NULL;
}

static void *no_resize(void *ctx, void *p, size_t old, size_t size,
                       size_t align)
{
    int *left = ctx;

    (void)align;
    return (*left)-- > 0 ? md_resize(md_alloc_default(), p, old, size) : NULL;
}

static void plain_free(void *ctx, void *p)
{
    (void)ctx;
    md_free(md_alloc_default(), p);
}

static void test_http1__out_of_memory(void **state)
{
    md_http1_limits limits = MD_HTTP1_LIMITS_INIT;
    static const char head[] = POST "Content-Length: 100000\r\n\r\n";
    static char body[100000];

    (void)state;
    for (int n = 0;; n++) {
        int left = n;
        const md_alloc a = { no_alloc, no_resize, plain_free, &left };
        md_error err = MD_ERROR_INIT;
        md_http1 h;
        md_http1_event e;

        if (md_http1_init(&h, &limits, &a, &err) != MD_OK) {
            assert_int_equal(err.status, MD_NOMEM);
            continue;
        }
        e = feed_by(&h, head, sizeof(head) - 1, sizeof(head));
        if (e == MD_HTTP1_MORE)
            e = feed_by(&h, body, sizeof(body), sizeof(body));
        if (e == MD_HTTP1_ERROR)
            assert_int_equal(h.error_status, 503);
        md_http1_release(&h);
        if (e == MD_HTTP1_DONE)
            break;
        assert_true(n < 100);
    }
}

/* ---- the same, however it is cut ---- */

/* What a stream was to the core: each request, and how it ended. */
typedef struct story {
    char text[4096];
    size_t n;
} story;

static void tell(story *s, const char *what, md_slice v)
{
    int n = snprintf(s->text + s->n, sizeof(s->text) - s->n, "%s=%.*s;", what,
                     (int)v.size, v.size ? v.data : "");

    assert_in_range(n, 0, sizeof(s->text) - s->n - 1);
    s->n += (size_t)n;
}

static void tell_request(story *s, const md_http1 *h)
{
    char flags[32];

    tell(s, "method", md_http1_method(h));
    tell(s, "path", md_http1_path(h));
    tell(s, "query", md_http1_query(h));
    tell(s, "host", md_http1_host(h));
    for (uint32_t i = 0; i < h->n_fields; i++) {
        md_slice name;
        md_slice value;

        md_http1_field_at(h, i, &name, &value);
        tell(s, "name", name);
        tell(s, "value", value);
    }
    tell(s, "body", md_http1_body(h));
    (void)snprintf(flags, sizeof(flags), "%d%d%d", h->minor,
                   md_http1_keep_alive(h), h->expects_continue);
    tell(s, "flags", md_slice_of(flags));
}

/* Feed a stream in pieces of 1 to `piece_max` bytes. */
static void read_story(story *s, const char *text, size_t size,
                       size_t piece_max, uint32_t *rng)
{
    size_t at = 0;
    md_http1 h;

    s->n = 0;
    open_core(&h, &LIMITS);
    for (;;) {
        md_http1_event e = md_http1_step(&h);

        if (e == MD_HTTP1_ERROR) {
            char status[128];

            (void)snprintf(status, sizeof(status), "%d %s", h.error_status,
                           h.error_text);
            tell(s, "error", md_slice_of(status));
            break;
        }
        if (e == MD_HTTP1_DONE) {
            tell_request(s, &h);
            md_http1_next(&h);
        } else if (e == MD_HTTP1_MORE) {
            size_t n = 1;
            size_t used = 0;

            if (at == size)
                break;
            if (piece_max > 1)
                n += md_guard_random(rng) % piece_max;
            (void)md_http1_feed(&h, text + at, n < size - at ? n : size - at,
                                &used);
            at += used;
        }
    }
    md_http1_release(&h);
}

/* Streams of good and bad requests, some bytes of them changed: what is read
 * does not depend on where the network cut them. */
static void test_http1__cuts_do_not_matter(void **state)
{
    static const char odd[] = "\r\n \t:;,/0aF\0\x7f\xff";
    uint32_t rng = 1;
    int n_errors = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[2048];
        size_t size = 0;
        story whole;
        story cut;

        for (uint32_t n = 1 + md_guard_random(&rng) % 4; n > 0; n--) {
            uint32_t r = md_guard_random(&rng);
            const char *one = r % 8 ? GOOD[r / 8 % MD_COUNT(GOOD)].text
                                    : BAD[r / 8 % MD_COUNT(BAD)].text;

            if (size + strlen(one) < sizeof(text)) {
                memcpy(text + size, one, strlen(one));
                size += strlen(one);
            }
        }
        for (uint32_t n = md_guard_random(&rng) % 3; n > 0 && size > 0; n--)
            text[md_guard_random(&rng) % size] =
                odd[md_guard_random(&rng) % (sizeof(odd) - 1)];
        read_story(&whole, text, size, size, &rng);
        for (size_t piece = 1; piece <= 64; piece *= 4) {
            read_story(&cut, text, size, piece, &rng);
            if (cut.n != whole.n || memcmp(cut.text, whole.text, cut.n) != 0)
                fail_msg("round %d by %zu: '%s' is not '%s'", round, piece,
                         cut.text, whole.text);
        }
        n_errors += strstr(whole.text, "error=") != NULL;
    }
    /* both kinds of streams were there */
    assert_in_range(n_errors, 500, 2500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1__accepts),
        cmocka_unit_test(test_http1__body_of_any_bytes),
        cmocka_unit_test(test_http1__fields),
        cmocka_unit_test(test_http1__refuses),
        cmocka_unit_test(test_http1__head_comes_before_the_body),
        cmocka_unit_test(test_http1__expectation_of_http10_is_ignored),
        cmocka_unit_test(test_http1__pipelined_requests),
        cmocka_unit_test(test_http1__limits_are_exact),
        cmocka_unit_test(test_http1__tiny_chunks_take_no_memory),
        cmocka_unit_test(test_http1__framing_is_bounded),
        cmocka_unit_test(test_http1__line_end_behind_a_body),
        cmocka_unit_test(test_http1__the_caller_refuses),
        cmocka_unit_test(test_http1__large_body_is_not_kept),
        cmocka_unit_test(test_http1__limits_must_make_sense),
        cmocka_unit_test(test_http1__out_of_memory),
        cmocka_unit_test(test_http1__cuts_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
