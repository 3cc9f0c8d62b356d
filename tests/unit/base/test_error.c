#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static void test_error__fail_records(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_int_equal(md_fail(&err, MD_INVALID, "axis %d", 7), MD_INVALID);
    assert_int_equal(err.status, MD_INVALID);
    assert_string_equal(err.msg, "axis 7");
    assert_int_equal(md_fail(NULL, MD_NOMEM, "x"), MD_NOMEM);
}

static void test_error__wrap_prefixes_and_truncates(void **state)
{
    md_error err = MD_ERROR_INIT;
    char longer[2 * MD_ERROR_MSG_SIZE];

    (void)state;
    md_fail(&err, MD_INVALID, "axis 7");
    md_wrap(&err, MD_CORRUPT, "node '%s': ", "a");
    assert_string_equal(err.msg, "node 'a': axis 7");
    assert_int_equal(err.status, MD_CORRUPT);
    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    md_wrap(&err, MD_CORRUPT, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

/* What a file or a request is called cannot end the line, move a cursor, or
 * make the text something else than UTF-8. */
static void test_error__messages_are_one_plain_line(void **state)
{
    static const struct {
        const char *name, *shown;
    } cases[] = {
        { "plain", "plain" },
        { "", "" },
        { "a\nb\r\tc", "a?b??c" },
        { "\x1b[2J\x07", "?[2J?" },
        { "\x7f", "?" },
        { "\xc2\x9b"
          "2J",
          "??2J" },
        { "\xc2\xa0\xc3\xa4\xe4\xb8\xad", "\xc2\xa0\xc3\xa4\xe4\xb8\xad" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\xff\xfe", "??" },
        { "ab\xe4\xb8", "ab??" },
        { "\xc0\xaf", "??" },
        { "\xed\xa0\x80", "???" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        char want[80];

        md_fail(&err, MD_INVALID, "input '%s' is unknown", cases[i].name);
        snprintf(want, sizeof(want), "input '%s' is unknown", cases[i].shown);
        assert_string_equal(err.msg, want);
        md_wrap(&err, MD_INVALID, "%s: ", cases[i].name);
        snprintf(want, sizeof(want), "%s: input '%s' is unknown",
                 cases[i].shown, cases[i].shown);
        assert_string_equal(err.msg, want);
    }
}

/* Cut at the end of the buffer, at every place in a character. */
static void test_error__cut_messages_are_utf8(void **state)
{
    (void)state;
    for (size_t pad = 0; pad < 8; pad++) {
        char longer[2 * MD_ERROR_MSG_SIZE] = "";
        md_error err = MD_ERROR_INIT;

        memset(longer, 'p', pad);
        for (size_t at = pad; at + 4 < sizeof(longer); at += 4)
            memcpy(longer + at, "\xf0\x9f\x98\x80", 4);
        md_fail(&err, MD_INVALID, "%s", longer);
        assert_int_equal(strlen(err.msg), MD_ERROR_MSG_SIZE - 1);
        assert_true(md_utf8_valid(err.msg, strlen(err.msg)));
        assert_memory_equal(err.msg, longer, MD_ERROR_MSG_SIZE - 4);
        md_wrap(&err, MD_INVALID, "in %s: ", "here");
        assert_memory_equal(err.msg, "in here: ", 9);
        assert_true(md_utf8_valid(err.msg, strlen(err.msg)));
    }
}

/* The numbers are the library's ABI, the codes what clients act on. */
static void test_error__codes_stay(void **state)
{
    static const struct {
        int value;
        const char *name;
        int http, grpc;
    } cases[] = {
        { 0, "OK", 200, 0 },
        { 1, "INVALID", 400, 3 },
        { 2, "NOT_FOUND", 404, 5 },
        { 3, "UNSUPPORTED", 501, 12 },
        { 4, "NOMEM", 503, 8 },
        { 5, "CORRUPT", 422, 3 },
        { 6, "IO", 500, 13 },
        { 7, "TOO_LARGE", 413, 8 },
        { 8, "TIMEOUT", 504, 4 },
        { 9, "CANCELLED", 499, 1 },
        { 10, "BUSY", 503, 8 },
        { 11, "UNAVAILABLE", 503, 14 },
        { 12, "EXISTS", 409, 6 },
        { 13, "DENIED", 403, 7 },
        { 14, "METHOD", 405, 12 },
        { 15, "MEDIA_TYPE", 415, 3 },
        { 16, "HEADER_TOO_LARGE", 431, 8 },
        { 17, "MISMATCH", 409, 9 },
        { 18, "INTERNAL", 500, 13 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_status s = (md_status)cases[i].value;

        assert_string_equal(md_status_name(s), cases[i].name);
        assert_int_equal(md_status_http(s), cases[i].http);
        assert_int_equal(md_status_grpc(s), cases[i].grpc);
    }
}

static void test_error__every_status_maps(void **state)
{
    (void)state;
    for (int s = MD_OK; s <= MD_INTERNAL; s++) {
        assert_true(md_status_http((md_status)s) >= 200);
        assert_in_range(md_status_grpc((md_status)s), 0, 16);
        assert_true(md_status_text((md_status)s)[0] != '\0');
    }
    assert_string_equal(md_status_name((md_status)999), "INTERNAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__fail_records),
        cmocka_unit_test(test_error__wrap_prefixes_and_truncates),
        cmocka_unit_test(test_error__messages_are_one_plain_line),
        cmocka_unit_test(test_error__cut_messages_are_utf8),
        cmocka_unit_test(test_error__codes_stay),
        cmocka_unit_test(test_error__every_status_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
