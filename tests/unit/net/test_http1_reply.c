#include "support/test.h"

#include <string.h>

#include "net/http1_reply.h"

static void test_http1_reply__dates(void **state)
{
    static const struct {
        int64_t t;
        const char *text;
    } cases[] = {
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" }, /* RFC 9110 */
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 951868799, "Tue, 29 Feb 2000 23:59:59 GMT" },
        { 951868800, "Wed, 01 Mar 2000 00:00:00 GMT" },
        { 1704067199, "Sun, 31 Dec 2023 23:59:59 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" }, /* no leap year */
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { -1, "Thu, 01 Jan 1970 00:00:00 GMT" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char out[MD_HTTP_DATE_SIZE];

        md_http_date_format(out, cases[i].t);
        assert_string_equal(out, cases[i].text);
    }
}

static void test_http1_reply__heads(void **state)
{
    static const struct {
        md_http1_reply reply;
        const char *text;
    } cases[] = {
        { { .status = 200, .content_size = 5, .keep_alive = true, .minor = 1 },
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" },
        { { .status = 200,
            .keep_alive = true,
            .minor = 0,
            .date = "Thu, 01 Jan 1970 00:00:00 GMT" },
          "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
          "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n" },
        { { .status = 503, .fields = { "Retry-After: 1\r\n", 16 }, .minor = 1 },
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
          "Connection: close\r\nRetry-After: 1\r\n\r\n" },
        { { .status = 204, .keep_alive = true, .minor = 1 },
          "HTTP/1.1 204 No Content\r\n\r\n" },
        { { .status = 299, .keep_alive = true, .minor = 1 },
          "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_buf b;

        md_buf_init(&b, md_alloc_default(), 1024);
        assert_md_ok(md_http1_reply_write(&b, &cases[i].reply, &err), &err);
        assert_string_equal((char *)b.data, cases[i].text);
        md_buf_release(&b);
    }
}

static void test_http1_reply__fields_cannot_be_smuggled(void **state)
{
    static const char *bad[][2] = {
        { "", "x" },      { "A b", "x" },       { "A:", "x" },
        { "A\r\n", "x" }, { "A", "x\r\nB: y" }, { "A", "x\ny" },
        { "A", "\x01" },  { "A", "\x7f" },
    };
    md_error err = MD_ERROR_INIT;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), 64);
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_md_fails(md_http1_field_write(&b, bad[i][0], bad[i][1], &err),
                        MD_INVALID, &err, "invalid character");
    assert_int_equal(b.size, 0);
    assert_md_ok(md_http1_field_write(&b, "X-Id_1", "a b\t\xc3\xa9", &err),
                 &err);
    assert_string_equal((char *)b.data, "X-Id_1: a b\t\xc3\xa9\r\n");
    md_buf_release(&b);
}

static void test_http1_reply__buffer_limit(void **state)
{
    const md_http1_reply reply = { .status = 200,
                                   .date = "Thu, 01 Jan 1970 00:00:00 GMT" };
    char want[256];
    size_t size;
    md_error err = MD_ERROR_INIT;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), sizeof(want));
    assert_md_ok(md_http1_reply_write(&b, &reply, &err), &err);
    size = b.size;
    md_buf_release(&b);
    for (size_t limit = 0; limit < size; limit++) {
        md_buf_init(&b, md_alloc_default(), limit);
        assert_md_fails(md_http1_reply_write(&b, &reply, &err), MD_TOO_LARGE,
                        &err, "limit");
        md_buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1_reply__dates),
        cmocka_unit_test(test_http1_reply__heads),
        cmocka_unit_test(test_http1_reply__fields_cannot_be_smuggled),
        cmocka_unit_test(test_http1_reply__buffer_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
