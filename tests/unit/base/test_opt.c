#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/opt.h"
#include "support/fail_alloc.h"

static const md_opt_row rows[] = {
    { "listen", MD_OPT_TEXT, "127.0.0.1:8080", 0, 0, NULL, false, "address" },
    { "log_level", MD_OPT_CHOICE, "info", 0, 0, "error|warn|info", true,
      "how much" },
    { "threads", MD_OPT_INT, "0", 0, 256, NULL, false, "threads" },
    { "body_max", MD_OPT_SIZE, "64M", 1024, (int64_t)1 << 40, NULL, true,
      "largest body" },
    { "idle", MD_OPT_DURATION, "75s", 0, 3600000, NULL, true, "idle time" },
    { "batching", MD_OPT_BOOL, "true", 0, 0, NULL, true, "join requests" },
};

static md_opts *o;
static char path[64];

static int setup(void **state)
{
    md_error err = MD_ERROR_INIT;
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/md-test-opt-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return md_opts_new(&o, rows, MD_COUNT(rows), md_alloc_default(), &err) !=
           MD_OK;
}

static int teardown(void **state)
{
    (void)state;
    md_opts_free(o);
    return unlink(path);
}

static md_status read_text(const char *text, md_error *err)
{
    md_error e = MD_ERROR_INIT;

    assert_md_ok(md_file_write_atomic(path, text, strlen(text), &e), &e);
    return md_opts_read_file(o, path, err);
}

static void test_opt__defaults(void **state)
{
    (void)state;
    assert_string_equal(md_opts_text(o, "listen"), "127.0.0.1:8080");
    assert_string_equal(md_opts_text(o, "log_level"), "info");
    assert_int_equal(md_opts_int(o, "threads"), 0);
    assert_int_equal(md_opts_int(o, "body_max"), 64 << 20);
    assert_int_equal(md_opts_int(o, "idle"), 75000);
    assert_true(md_opts_bool(o, "batching"));
    assert_int_equal(md_opts_source(o, "idle"), MD_OPT_DEFAULT);
    assert_non_null(md_opts_find(o, "log-level"));
    assert_null(md_opts_find(o, "log-leve"));
    assert_null(md_opts_find(o, "log_levels"));
}

static void test_opt__bad_default_is_refused(void **state)
{
    static const md_opt_row bad = {
        "n", MD_OPT_INT, "x", 0, 9, NULL, false, ""
    };
    md_error err = MD_ERROR_INIT;
    md_opts *none = NULL;

    (void)state;
    assert_md_fails(md_opts_new(&none, &bad, 1, md_alloc_default(), &err),
                    MD_INVALID, &err, "option n: 'x' given");
    assert_null(none);
}

/* Every order of reading ends with the same winner. */
static void test_opt__precedence(void **state)
{
    static const int orders[6][3] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                      { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(orders); i++) {
        md_error err = MD_ERROR_INIT;
        md_opts *p;

        assert_md_ok(
            md_opts_new(&p, rows, MD_COUNT(rows), md_alloc_default(), &err),
            &err);
        for (int k = 0; k < 3; k++) {
            char text[8];

            snprintf(text, sizeof(text), "%d", orders[i][k]);
            assert_md_ok(md_opts_set(p, "threads", text,
                                     (md_opt_source)orders[i][k], "x", &err),
                         &err);
        }
        assert_int_equal(md_opts_int(p, "threads"), MD_OPT_COMMAND_LINE);
        assert_int_equal(md_opts_source(p, "threads"), MD_OPT_COMMAND_LINE);
        /* The same source again replaces. */
        assert_md_ok(
            md_opts_set(p, "threads", "9", MD_OPT_COMMAND_LINE, "x", &err),
            &err);
        assert_int_equal(md_opts_int(p, "threads"), 9);
        md_opts_free(p);
    }
}

static void test_opt__values(void **state)
{
    static const struct {
        const char *name, *text;
        int64_t want;
    } good[] = {
        { "threads", "256", 256 },
        { "body_max", "1024", 1024 },
        { "body_max", "64k", 65536 },
        { "body_max", "1G", 1 << 30 },
        { "body_max", "1T", (int64_t)1 << 40 },
        { "body-max", "2MiB", 2 << 20 },
        { "idle", "250ms", 250 },
        { "idle", "2s", 2000 },
        { "idle", "5m", 300000 },
        { "idle", "1h", 3600000 },
        { "idle", "0", 0 },
        { "batching", "off", 0 },
        { "batching", "yes", 1 },
        { "batching", "0", 0 },
    };
    static const struct {
        const char *name, *text, *message;
    } bad[] = {
        { "threads", "", "expected a number from 0 to 256" },
        { "threads", "257", "option threads: '257' given" },
        { "threads", "-1", "'-1' given" },
        { "threads", "1.5", "'1.5' given" },
        { "threads", "4k", "'4k' given" },
        { "threads", " 4", "' 4' given" },
        { "threads", "99999999999999999999", "given" },
        { "body_max", "100", "expected a size from 1k to 1T" },
        { "body_max", "9999999T", "given" },
        { "body_max", "5x", "given" },
        { "idle", "5", "expected a duration from 0 to 1h" },
        { "idle", "2h", "given" },
        { "batching", "maybe", "expected true or false" },
        { "log_level", "loud", "expected one of error|warn|info" },
        { "log_level", "error|warn", "expected one of" },
    };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(good); i++) {
        assert_md_ok(md_opts_set(o, good[i].name, good[i].text,
                                 MD_OPT_COMMAND_LINE, "x", &err),
                     &err);
        assert_int_equal(md_opts_int(o, good[i].name), good[i].want);
    }
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_md_fails(md_opts_set(o, bad[i].name, bad[i].text,
                                    MD_OPT_COMMAND_LINE, "here", &err),
                        MD_INVALID, &err, bad[i].message);
    assert_non_null(strstr(err.msg, "here: option log_level"));
}

/* One rule for sizes: powers of 1024, whatever stands behind the letter. */
static void test_opt__sizes(void **state)
{
    static const char letters[] = "kKmMgGtT";
    static const char *const endings[] = {
        "", "b", "B", "ib", "iB", "Ib", "IB"
    };
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        { "0", 0 },
        { "4096", 4096 },
        { "4096B", 4096 },
        { "4096b", 4096 },
        { "0B", 0 },
        { "0G", 0 },
        { "9223372036854775807", INT64_MAX },
        { "8388607T", (int64_t)8388607 << 40 },
        { "8388608T", -1 }, /* 2^63 */
        { "9223372036854775808", -1 },
        { "4096iB", -1 },
        { "1kk", -1 },
        { "1kiBB", -1 },
        { "1ki", -1 },
        { "1 k", -1 },
        { "1k ", -1 },
        { "k", -1 },
        { "1.5G", -1 },
        { "1e3", -1 },
        { "0x10", -1 },
        { "1P", -1 },
        { "-1k", -1 },
        { "+1k", -1 },
        { "", -1 },
    };
    static const md_opt_row row = { "size",    MD_OPT_SIZE, "0",   0,
                                    INT64_MAX, NULL,        false, "" };

    (void)state;
    for (size_t i = 0; letters[i]; i++) {
        for (size_t k = 0; k < MD_COUNT(endings); k++) {
            md_error err = MD_ERROR_INIT;
            char text[16];
            int64_t num;

            snprintf(text, sizeof(text), "3%c%s", letters[i], endings[k]);
            assert_md_ok(md_opt_parse(&row, text, &num, &err), &err);
            assert_int_equal(num, (int64_t)3 << 10 * (i / 2 + 1));
        }
    }
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t num;

        if (cases[i].want < 0) {
            assert_md_fails(md_opt_parse(&row, cases[i].text, &num, &err),
                            MD_INVALID, &err,
                            "expected a size from 0 to 9223372036854775807");
            continue;
        }
        assert_md_ok(md_opt_parse(&row, cases[i].text, &num, &err), &err);
        assert_int_equal(num, cases[i].want);
    }
}

/* Units of time are spelled one way: M would be minutes to one reader and
 * months to another. */
static void test_opt__durations(void **state)
{
    static const md_opt_row row = { "t",  MD_OPT_DURATION, "0", 0, INT64_MAX,
                                    NULL, false,           "" };
    static const char *const bad[] = { "5",
                                       "5M",
                                       "5S",
                                       "5MS",
                                       "5H",
                                       "5 s",
                                       "5d",
                                       "s",
                                       "5sB",
                                       "-5s",
                                       "9223372036854775807s" };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t num;

        assert_md_fails(md_opt_parse(&row, bad[i], &num, &err), MD_INVALID,
                        &err, "expected a duration from 0 to");
    }
}

/* Its limits are whole numbers, its value is not. */
static void test_opt__reals(void **state)
{
    static const md_opt_row row = { "s",  MD_OPT_REAL, "0",   0,
                                    3600, NULL,        false, "" };
    static const struct {
        const char *text;
        double want; /* -1: refused */
    } cases[] = {
        { "0", 0 },       { "0.5", 0.5 },  { "1e-4", 1e-4 }, { "3.6e3", 3600 },
        { "3600.5", -1 }, { "-0.1", -1 },  { "", -1 },       { "nan", -1 },
        { "inf", -1 },    { "1e400", -1 }, { "0x1", -1 },    { "1s", -1 },
        { "1,5", -1 },    { " 1", -1 },    { ".5", -1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t num;
        double x;

        if (cases[i].want < 0) {
            assert_md_fails(md_opt_parse(&row, cases[i].text, &num, &err),
                            MD_INVALID, &err,
                            "expected a number, also a fraction, from 0 to "
                            "3600");
            continue;
        }
        assert_md_ok(md_opt_parse(&row, cases[i].text, &num, &err), &err);
        assert_true(md_opt_real(&x, cases[i].text));
        assert_true(x == cases[i].want);
    }
}

/* What is shown of a bad value can neither forge a line nor fill one. */
static void test_opt__bad_values_are_quoted(void **state)
{
    md_error err = MD_ERROR_INIT;
    char longer[600];

    (void)state;
    assert_md_fails(md_opts_set(o, "threads", "4\n\x1b[2J'", MD_OPT_ENV,
                                "MODELD_THREADS", &err),
                    MD_INVALID, &err,
                    "MODELD_THREADS: option threads: '4\\n\\x1b[2J\\'' given, "
                    "expected a number from 0 to 256");
    assert_md_fails(md_opts_set(o, "a\nb", "1", MD_OPT_FILE, "f:1", &err),
                    MD_NOT_FOUND, &err, "f:1: option 'a\\nb' is unknown");
    assert_md_fails(read_text("level\x07", &err), MD_INVALID, &err,
                    ":1: 'level\\x07' given, expected key = value");
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_md_fails(md_opts_set(o, "threads", longer, MD_OPT_ENV, "T", &err),
                    MD_INVALID, &err, "xxx'... given, expected a number");
}

/* One variable for each type; a bad one is told by its name. */
static void test_opt__env_of_every_type(void **state)
{
    static const struct {
        const char *name, *text, *option;
        int64_t num; /* -1: refused */
    } cases[] = {
        { "MODELD_LISTEN", "[::1]:80", "listen", 0 },
        { "MODELD_LOG_LEVEL", "warn", "log_level", 0 },
        { "MODELD_THREADS", "7", "threads", 7 },
        { "MODELD_BODY_MAX", "3KiB", "body_max", 3072 },
        { "MODELD_IDLE", "90s", "idle", 90000 },
        { "MODELD_BATCHING", "no", "batching", 0 },
        { "MODELD_THREADS", "", "threads", -1 },
        { "MODELD_LOG_LEVEL", "WARN", "log_level", -1 },
        { "MODELD_BATCHING", "NO", "batching", -1 },
        { "MODELD_IDLE", "90", "idle", -1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_opts *p = NULL;
        md_status s;

        assert_md_ok(
            md_opts_new(&p, rows, MD_COUNT(rows), md_alloc_default(), &err),
            &err);
        setenv(cases[i].name, cases[i].text, 1);
        s = md_opts_read_env(p, &err);
        unsetenv(cases[i].name);
        if (cases[i].num < 0) {
            char want[80];

            snprintf(want, sizeof(want), "%s: option %s: '%s' given, expected",
                     cases[i].name, cases[i].option, cases[i].text);
            assert_md_fails(s, MD_INVALID, &err, want);
            assert_int_equal(md_opts_source(p, cases[i].option),
                             MD_OPT_DEFAULT);
        } else {
            assert_md_ok(s, &err);
            assert_int_equal(md_opts_int(p, cases[i].option), cases[i].num);
            assert_string_equal(md_opts_text(p, cases[i].option),
                                cases[i].text);
            assert_int_equal(md_opts_source(p, cases[i].option), MD_OPT_ENV);
        }
        md_opts_free(p);
    }
}

/* A file of many lines, each allocation of which fails in turn. */
static void test_opt__every_allocation_may_fail(void **state)
{
    static char text[60000];
    md_error err = MD_ERROR_INIT;
    bool failed = true;
    size_t at = 0;
    int64_t n = 0;
    fail_alloc f;

    (void)state;
    for (int i = 0; i < 700; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "listen = host-number-%04d.example:%d # %d\n", i,
                               i, i);
    assert_md_ok(md_file_write_atomic(path, text, at, &err), &err);
    fail_alloc_init(&f);
    for (; failed; n++) {
        md_opts *p = NULL;
        md_status s;

        fail_alloc_arm(&f, n);
        s = md_opts_new(&p, rows, MD_COUNT(rows), &f.alloc, &err);
        if (s == MD_OK)
            s = md_opts_read_file(p, path, &err);
        failed = fail_alloc_disarm(&f);
        if (failed)
            assert_md_fails(s, MD_NOMEM, &err, "out of memory");
        else
            assert_string_equal(md_opts_text(p, "listen"),
                                "host-number-0699.example:699");
        md_opts_free(p);
        assert_int_equal(f.n_live, 0);
    }
    assert_true(n > 4); /* the set, its arena's blocks, the file */
}

static void test_opt__unknown_has_a_hint(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_fails(
        md_opts_set(o, "tread", "1", MD_OPT_COMMAND_LINE, "--tread", &err),
        MD_NOT_FOUND, &err,
        "--tread: option 'tread' is unknown, did you mean "
        "'threads'?");
    assert_md_fails(md_opts_set(o, "quux", "1", MD_OPT_FILE, "f:1", &err),
                    MD_NOT_FOUND, &err, "f:1: option 'quux' is unknown");
    assert_null(strstr(err.msg, "mean"));
}

static void test_opt__file(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(read_text("# a comment\n"
                           "\n"
                           "  listen =  [::1]:9#1   # why\r\n"
                           "log-level=warn\n"
                           "\tidle\t=\t2s",
                           &err),
                 &err);
    assert_string_equal(md_opts_text(o, "listen"), "[::1]:9#1");
    assert_string_equal(md_opts_text(o, "log_level"), "warn");
    assert_int_equal(md_opts_int(o, "idle"), 2000);
    assert_int_equal(md_opts_source(o, "idle"), MD_OPT_FILE);
    assert_md_ok(read_text("", &err), &err);
    assert_md_ok(read_text("\n\n#", &err), &err);
}

static void test_opt__file_errors_have_lines(void **state)
{
    static const struct {
        const char *text, *where, *message;
        md_status status;
    } cases[] = {
        { "threads = 1\nnonsense\n",
          ":2: ", "'nonsense' given, expected key = value", MD_INVALID },
        { "= 1\n", ":1: ", "expected key = value", MD_INVALID },
        { "\n\nthread = 1\n", ":3: ", "did you mean 'threads'?", MD_NOT_FOUND },
        { "threads = many\n", ":1: ", "'many' given", MD_INVALID },
        { "threads =\n", ":1: ", "'' given", MD_INVALID },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(read_text(cases[i].text, &err), cases[i].status, &err,
                        cases[i].message);
        assert_non_null(strstr(err.msg, cases[i].where));
        assert_non_null(strstr(err.msg, path));
    }
}

static void test_opt__file_that_is_none(void **state)
{
    static char longer[MD_LIMIT_CONFIG_LINE + 100];
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_fails(md_opts_read_file(o, "/nowhere/c", &err), MD_NOT_FOUND,
                    &err, "'/nowhere/c'");
    assert_md_ok(md_file_write_atomic(path, "a\0b", 3, &err), &err);
    assert_md_fails(md_opts_read_file(o, path, &err), MD_INVALID, &err,
                    "is not text");
    memset(longer, 'x', sizeof(longer) - 1);
    assert_md_fails(read_text(longer, &err), MD_INVALID, &err,
                    "line is longer");
    assert_md_fails(md_opts_read_file(o, "/dev/zero", &err), MD_TOO_LARGE, &err,
                    "limit");
}

static void test_opt__environment(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    setenv("MODELD_BODY_MAX", "2k", 1);
    setenv("MODELD_PORT", "tcp://10.0.0.1:80", 1);
    assert_md_ok(md_opts_read_env(o, &err), &err);
    assert_int_equal(md_opts_int(o, "body_max"), 2048);
    assert_int_equal(md_opts_source(o, "body_max"), MD_OPT_ENV);
    setenv("MODELD_BODY_MAX", "huge", 1);
    assert_md_fails(md_opts_read_env(o, &err), MD_INVALID, &err,
                    "MODELD_BODY_MAX: option body_max: 'huge' given");
    unsetenv("MODELD_BODY_MAX");
    unsetenv("MODELD_PORT");
}

static void test_opt__print(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;
    md_buf out;
    int n_names = 0;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 1 << 16);
    assert_md_ok(
        md_opts_set(o, "idle", "2s", MD_OPT_COMMAND_LINE, "--idle", &err),
        &err);
    assert_md_ok(read_text("threads = 3", &err), &err);
    assert_md_ok(md_opts_print(o, false, &out, &err), &err);
    assert_non_null(strstr((char *)out.data, "listen = 127.0.0.1:8080"));
    assert_non_null(strstr((char *)out.data, "# default\n"));
    assert_non_null(strstr((char *)out.data, "# command line: --idle\n"));
    assert_non_null(strstr((char *)out.data, "# file: /tmp/md-test-opt"));
    /* What is printed can be read again. */
    assert_md_ok(read_text((char *)out.data, &err), &err);
    assert_int_equal(md_opts_int(o, "threads"), 3);
    md_buf_reset(&out);
    assert_md_ok(md_opts_print(o, true, &out, &err), &err);
    md_json_init(&r, out.data, out.size, NULL);
    do {
        assert_md_ok(md_json_next(&r, &t, &err), &err);
        n_names += t.kind == MD_JSON_NAME && md_json_is(&t, "source");
    } while (t.kind != MD_JSON_END);
    assert_int_equal(n_names, MD_COUNT(rows));
    md_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opt__defaults, setup, teardown),
        cmocka_unit_test(test_opt__bad_default_is_refused),
        cmocka_unit_test(test_opt__precedence),
        cmocka_unit_test_setup_teardown(test_opt__values, setup, teardown),
        cmocka_unit_test(test_opt__env_of_every_type),
        cmocka_unit_test_setup_teardown(test_opt__every_allocation_may_fail,
                                        setup, teardown),
        cmocka_unit_test(test_opt__sizes),
        cmocka_unit_test(test_opt__durations),
        cmocka_unit_test(test_opt__reals),
        cmocka_unit_test_setup_teardown(test_opt__bad_values_are_quoted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_opt__unknown_has_a_hint, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_opt__file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opt__file_errors_have_lines, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_opt__file_that_is_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_opt__environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opt__print, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
