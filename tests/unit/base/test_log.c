#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

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
        cmocka_unit_test_setup_teardown(test_log__bad_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__values_are_escaped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log__json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__many_threads, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
