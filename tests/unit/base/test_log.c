#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"

#define MD_LOG_TAG "serve.http"

static char text[64 * 1024];
static size_t n_text;
static int n_lines;

static void keep(void *ctx, const char *line, size_t n)
{
    assert_ptr_equal(ctx, &n_lines);
    if (n_text + n < sizeof(text)) {
        memcpy(text + n_text, line, n);
        n_text += n;
        text[n_text] = '\0';
    }
    n_lines++;
}

static int setup(void **state)
{
    (void)state;
    n_text = 0;
    n_lines = 0;
    text[0] = '\0';
    md_log_set_sink(keep, &n_lines);
    md_log_set_format(MD_LOG_TEXT);
    return (int)md_log_set_levels("info", NULL);
}

static int teardown(void **state)
{
    (void)state;
    md_log_set_sink(NULL, NULL);
    return 0;
}

static void test_log__text(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    md_fail(&err, MD_INVALID, "bad \"thing\"");
    MD_LOG(MD_LOG_WARN, "model loaded", md_log_str("model", "seed_cnn"),
           md_log_int("n", -3), md_log_uint("size", UINT64_MAX),
           md_log_float("ms", 0.5), md_log_float("bad", (double)NAN),
           md_log_bool("ok", true), md_log_str("none", NULL),
           md_log_strn("part", "abcdef", 3), md_log_error(&err));
    assert_int_equal(n_lines, 1);
    assert_memory_equal(text, "time=2", 6);
    assert_string_equal(strchr(text, ' '),
                        " level=warn tag=serve.http msg=\"model loaded\" "
                        "model=seed_cnn n=-3 size=18446744073709551615 ms=0.5 "
                        "bad=NaN ok=true none=\"\" part=abc "
                        "error=\"bad \\\"thing\\\"\"\n");
}

static void test_log__error_without_text(void **state)
{
    md_error err = { MD_NOMEM, { 0 } };

    (void)state;
    MD_LOG(MD_LOG_ERROR, "failed", md_log_error(&err));
    assert_non_null(strstr(text, "error=\"out of memory\"\n"));
}

static int n_evaluated;

static int64_t evaluate(void)
{
    return ++n_evaluated;
}

static void test_log__level_is_tested_first(void **state)
{
    (void)state;
    n_evaluated = 0;
    MD_LOG(MD_LOG_DEBUG, "no", md_log_int("n", evaluate()));
    assert_int_equal(n_evaluated, 0);
    assert_int_equal(n_lines, 0);
    MD_LOG(MD_LOG_INFO, "yes", md_log_int("n", evaluate()));
    assert_int_equal(n_evaluated, 1);
    assert_int_equal(n_lines, 1);
}

static void test_log__levels_by_tag(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_log_set_levels("warn,serve=debug,serve.grpc=error", &err),
                 &err);
    assert_true(md_log_enabled(MD_LOG_DEBUG, "serve"));
    assert_true(md_log_enabled(MD_LOG_DEBUG, "serve.http"));
    assert_false(md_log_enabled(MD_LOG_WARN, "serve.grpc"));
    assert_false(md_log_enabled(MD_LOG_WARN, "serve.grpc.x"));
    assert_true(md_log_enabled(MD_LOG_ERROR, "serve.grpc"));
    assert_true(md_log_enabled(MD_LOG_DEBUG, "serve.grpcx"));
    assert_false(md_log_enabled(MD_LOG_INFO, "served"));
    assert_true(md_log_enabled(MD_LOG_WARN, "engine"));
    assert_false(md_log_enabled(MD_LOG_INFO, "engine"));
}

static void test_log__switches(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_log_set_levels("warn,serve=debug", &err), &err);
    assert_true(md_log_is_on(MD_LOG_WARN));
    assert_false(md_log_is_on(MD_LOG_INFO));
    md_log_switch(MD_LOG_INFO, true);
    md_log_switch(MD_LOG_WARN, false);
    md_log_switch(MD_LOG_DEBUG, false);
    assert_true(md_log_is_on(MD_LOG_INFO));
    assert_true(md_log_enabled(MD_LOG_INFO, "x"));
    assert_true(md_log_enabled(MD_LOG_ERROR, "x"));
    assert_false(md_log_enabled(MD_LOG_WARN, "serve"));
    assert_false(md_log_enabled(MD_LOG_DEBUG, "serve"));
    md_log_switch(MD_LOG_DEBUG, true);
    assert_true(md_log_enabled(MD_LOG_DEBUG, "x"));
    assert_md_ok(md_log_set_levels("warn", &err), &err);
    assert_true(md_log_enabled(MD_LOG_WARN, "x"));
    assert_false(md_log_enabled(MD_LOG_INFO, "x"));
    assert_false(md_log_is_on(MD_LOG_DEBUG));
}

static void test_log__styles(void **state)
{
    (void)state;
    md_log_set_format(MD_LOG_JSON);
    md_log_set_style(MD_LOG_AS_TEXT);
    assert_int_equal(md_log_style_now(), MD_LOG_AS_TEXT);
    MD_LOG(MD_LOG_INFO, "x");
    assert_int_equal(strncmp(text, "time=", 5), 0);
    md_log_set_style(MD_LOG_AS_SET);
    MD_LOG(MD_LOG_INFO, "x");
    assert_non_null(strstr(text, "{\"time\":"));
    md_log_set_style(MD_LOG_AS_TEXT);
    md_log_set_format(MD_LOG_JSON); /* which counts from now on */
    assert_int_equal(md_log_style_now(), MD_LOG_AS_SET);
}

static void test_log__bad_levels(void **state)
{
    static const struct {
        const char *spec, *message;
    } cases[] = {
        { "", "log level '' is unknown, expected error, warn, info or debug" },
        { "loud", "'loud'" },
        { "info,", "''" },
        { "info,net=loud", "'loud'" },
        { "=info", "log level for ''" },
        { "a-tag-that-is-longer-than-thirty-one-bytes=info", "log level for" },
        { "a=info,a=info,a=info,a=info,a=info,a=info,a=info,a=info,a=info,"
          "a=info,a=info,a=info,a=info,a=info,a=info,a=info,a=info",
          "at most 16 tags" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(md_log_set_levels(cases[i].spec, &err), MD_INVALID,
                        &err, cases[i].message);
        assert_true(md_log_enabled(MD_LOG_INFO, "x"));
        assert_false(md_log_enabled(MD_LOG_DEBUG, "x"));
    }
}

/* A value cannot end the line or forge a field. */
static void test_log__values_are_escaped(void **state)
{
    (void)state;
    MD_LOG(MD_LOG_INFO, "x",
           md_log_str("v", "a\nlevel=error \"q\" \\ \x01 \xff \xc3\xa4"),
           md_log_str("w", "a=b"));
    assert_int_equal(strcspn(text, "\n"), n_text - 1);
    assert_non_null(strstr(text, "v=\"a\\nlevel=error \\\"q\\\" \\\\ \\u0001 "
                                 "\xef\xbf\xbd \xc3\xa4\" w=\"a=b\"\n"));
}

/* Every character below U+0100, alone in a value: shown as it is, or as an
 * escape that no terminal and no line reader obeys.  JSON and text agree. */
static void test_log__every_character(void **state)
{
    (void)state;
    for (int format = MD_LOG_TEXT; format <= MD_LOG_JSON; format++) {
        md_log_set_format((md_log_format)format);
        for (unsigned rune = 1; rune < 0x100; rune++) {
            char value[8] = "a ", want[32], shown[16];
            size_t n = md_utf8_put(value + 2, rune);

            value[2 + n] = '\0';
            if (rune == '"' || rune == '\\')
                snprintf(shown, sizeof(shown), "\\%c", (char)rune);
            else if (rune == '\n')
                snprintf(shown, sizeof(shown), "\\n");
            else if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0))
                snprintf(shown, sizeof(shown), "\\u%04x", rune);
            else
                snprintf(shown, sizeof(shown), "%s", value + 2);
            snprintf(want, sizeof(want),
                     format == MD_LOG_JSON ? ",\"v\":\"a %s\"}\n"
                                           : " v=\"a %s\"\n",
                     shown);
            n_text = 0;
            MD_LOG(MD_LOG_INFO, "x", md_log_str("v", value));
            assert_true(n_text > strlen(want));
            assert_string_equal(text + n_text - strlen(want), want);
            for (size_t i = 0; i + 1 < n_text; i++)
                assert_true((unsigned char)text[i] >= 0x20);
        }
    }
}

/* Quotes only where a reader of key=value needs them. */
static void test_log__plain_words(void **state)
{
    static const struct {
        const char *value, *shown;
    } cases[] = {
        { "", "\"\"" },
        { "a", "a" },
        { "a/b:c.d-e_f", "a/b:c.d-e_f" },
        { "{x,y}[0]", "{x,y}[0]" },
        { "~!", "~!" },
        { "a b", "\"a b\"" },
        { "a=b", "\"a=b\"" },
        { "a\"", "\"a\\\"\"" },
        { "a\\", "\"a\\\\\"" },
        { "\t", "\"\\u0009\"" },
        { "\xc3\xa4", "\"\xc3\xa4\"" },
        { "\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xe4\xb8", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char want[80];

        n_text = 0;
        MD_LOG(MD_LOG_INFO, "x", md_log_str("v", cases[i].value));
        snprintf(want, sizeof(want), " msg=x v=%s\n", cases[i].shown);
        assert_string_equal(strstr(text, " msg="), want);
    }
}

static void test_log__numbers(void **state)
{
    static const struct {
        double x;
        const char *text, *json;
    } floats[] = {
        { 0.0, "0.0", "0.0" },
        { -0.0, "-0.0", "-0.0" },
        { 1e300, "1e+300", "1e+300" },
        { 0.1, "0.1", "0.1" },
        { 0x1p-1074, "4.94065645841247e-324", "4.94065645841247e-324" },
        { INFINITY, "Inf", "\"Inf\"" },
        { -INFINITY, "-Inf", "\"-Inf\"" },
        { NAN, "NaN", "\"NaN\"" },
    };
    char want[160];

    (void)state;
    for (int format = MD_LOG_TEXT; format <= MD_LOG_JSON; format++) {
        bool json = format == MD_LOG_JSON;

        md_log_set_format((md_log_format)format);
        for (size_t i = 0; i < MD_COUNT(floats); i++) {
            n_text = 0;
            MD_LOG(MD_LOG_INFO, "x", md_log_float("f", floats[i].x));
            snprintf(want, sizeof(want), json ? "\"f\":%s}\n" : " f=%s\n",
                     json ? floats[i].json : floats[i].text);
            if (!strstr(text, want))
                fail_msg("%s is not in %s", want, text);
        }
        n_text = 0;
        MD_LOG(MD_LOG_INFO, "x", md_log_int("i", INT64_MIN),
               md_log_uint("u", UINT64_MAX), md_log_int("z", 0));
        assert_non_null(strstr(
            text, json ? "\"i\":-9223372036854775808,"
                         "\"u\":18446744073709551615,\"z\":0}\n"
                       : " i=-9223372036854775808 u=18446744073709551615 "
                         "z=0\n"));
    }
}

/* What was said is from the program, but is escaped all the same. */
static void test_log__head(void **state)
{
    static const struct {
        md_log_level level;
        const char *text, *json;
    } cases[] = {
        { MD_LOG_ERROR, " level=error tag=serve.http msg=\"a\\nb\"\n",
          "\",\"level\":\"error\",\"tag\":\"serve.http\",\"msg\":\"a\\nb\"}\n" },
        { MD_LOG_WARN, " level=warn tag=serve.http msg=\"a\\nb\"\n",
          "\",\"level\":\"warn\",\"tag\":\"serve.http\",\"msg\":\"a\\nb\"}\n" },
        { MD_LOG_INFO, " level=info tag=serve.http msg=\"a\\nb\"\n",
          "\",\"level\":\"info\",\"tag\":\"serve.http\",\"msg\":\"a\\nb\"}\n" },
        { MD_LOG_DEBUG, " level=debug tag=serve.http msg=\"a\\nb\"\n",
          "\",\"level\":\"debug\",\"tag\":\"serve.http\",\"msg\":\"a\\nb\"}\n" },
    };

    (void)state;
    assert_int_equal(md_log_set_levels("debug", NULL), MD_OK);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        n_text = 0;
        md_log_set_format(MD_LOG_TEXT);
        MD_LOG(cases[i].level, "a\nb");
        /* time=2026-01-31T23:59:59.123Z */
        assert_memory_equal(text, "time=", 5);
        assert_int_equal(text[5 + 23], 'Z');
        assert_string_equal(text + 29, cases[i].text);
        n_text = 0;
        md_log_set_format(MD_LOG_JSON);
        MD_LOG(cases[i].level, "a\nb");
        assert_memory_equal(text, "{\"time\":\"", 9);
        assert_string_equal(text + 9 + 24, cases[i].json);
    }
}

/* A value is cut at its bound, whatever is there: between two characters. */
static void test_log__values_are_cut_between_characters(void **state)
{
    static const char *const units[] = {
        "x", "\n", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\xff", "\""
    };

    (void)state;
    for (size_t u = 0; u < MD_COUNT(units); u++) {
        for (size_t pad = 0; pad < 6; pad++) {
            char value[5000] = "";
            size_t n = pad, len = strlen(units[u]);
            const char *v;

            memset(value, 'p', pad);
            for (; n < 4500; n += len)
                memcpy(value + n, units[u], len);
            n_text = 0;
            MD_LOG(MD_LOG_INFO, "x", md_log_strn("v", value, n));
            v = strstr(text, " v=\"");
            assert_non_null(v);
            assert_true(md_utf8_valid(text, n_text));
            assert_string_equal(text + n_text - 5, "...\"\n");
            assert_in_range(text + n_text - v, 1024, 1024 + 24);
            /* no half of an escape before the dots */
            assert_true(text[n_text - 6] != '\\' || text[n_text - 7] == '\\');
        }
    }
}

static void check_json(const char *line, size_t n)
{
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;

    md_json_init(&r, line, n, NULL);
    do {
        assert_md_ok(md_json_next(&r, &t, &err), &err);
    } while (t.kind != MD_JSON_END);
}

static void test_log__json(void **state)
{
    (void)state;
    md_log_set_format(MD_LOG_JSON);
    MD_LOG(MD_LOG_INFO, "x", md_log_str("v", "a\n\"\xff"),
           md_log_float("inf", (double)INFINITY), md_log_int("n", 5),
           md_log_bool("b", false));
    check_json(text, n_text);
    assert_non_null(strstr(text, ",\"level\":\"info\",\"tag\":\"serve.http\","
                                 "\"msg\":\"x\",\"v\":\"a\\n\\\"\xef\xbf\xbd\","
                                 "\"inf\":\"Inf\",\"n\":5,\"b\":false}\n"));
}

/* Long values are cut, too many of them left out; the line stays whole. */
static void test_log__long_lines(void **state)
{
    static char big[5000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    for (int format = MD_LOG_TEXT; format <= MD_LOG_JSON; format++) {
        n_text = 0;
        md_log_set_format((md_log_format)format);
        MD_LOG(MD_LOG_INFO, "x", md_log_str("a", big), md_log_str("b", big),
               md_log_str("c", big), md_log_str("d", big), md_log_str("e", big),
               md_log_int("f", 1));
        assert_in_range(n_text, 3000, MD_LIMIT_LOG_LINE);
        assert_non_null(strstr(text, "xxx...\""));
        assert_non_null(strstr(text, "truncated"));
        assert_int_equal(text[n_text - 1], '\n');
        if (format == MD_LOG_JSON)
            check_json(text, n_text);
    }
}

static void *log_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        MD_LOG(MD_LOG_INFO, "x", md_log_int("i", i));
    return NULL;
}

static void test_log__many_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_often, NULL), 0);
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n_lines, 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log__text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__error_without_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__level_is_tested_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__levels_by_tag, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__switches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__styles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__bad_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__values_are_escaped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__every_character, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__plain_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__head, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_log__values_are_cut_between_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__many_threads, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
