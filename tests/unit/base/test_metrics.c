#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/metrics.h"

static const double bounds[] = { 0.005, 0.1, 1 };

static const md_metric_row rows[] = {
    { MD_COUNTER, "modeld_test_requests_total", "Requests by route.",
      "route,code", NULL, 0 },
    { MD_GAUGE, "modeld_test_queue_length", "Waiting\nrequests \\ now.", "",
      NULL, 0 },
    { MD_HISTOGRAM, "modeld_test_request_seconds", "Latency.", "route", bounds,
      MD_COUNT(bounds) },
};

static md_metrics *m;
static md_buf out;
static uint32_t first;

static int setup(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 1 << 20);
    if (md_metrics_new(&m, md_alloc_default(), &err) != MD_OK)
        return -1;
    return md_metrics_add(m, rows, MD_COUNT(rows), &first, &err) != MD_OK;
}

static int teardown(void **state)
{
    (void)state;
    md_metrics_free(m);
    md_buf_release(&out);
    return 0;
}

static const char *write_out(void)
{
    md_error err = MD_ERROR_INIT;

    md_buf_reset(&out);
    assert_md_ok(md_metrics_write(m, &out, &err), &err);
    return out.data ? (const char *)out.data : "";
}

static md_metric *requests(const char *route, const char *code)
{
    const char *const values[] = { route, code };

    return md_metrics_get(m, first, values);
}

static void test_metrics__text(void **state)
{
    const char *const predict[] = { "/predict" };
    md_metric *h = md_metrics_get(m, first + 2, predict);

    (void)state;
    md_metric_inc(requests("/predict", "200"));
    md_metric_add(requests("/predict", "200"), 2);
    md_metric_inc(requests("a\"b\\c\nd", "400"));
    md_metric_set(md_metrics_get(m, first + 1, NULL), -1.5);
    md_metric_observe(h, 0.005); /* bounds belong to their bucket */
    md_metric_observe(h, 0.006);
    md_metric_observe(h, 7);
    assert_string_equal(
        write_out(),
        "# HELP modeld_test_requests_total Requests by route.\n"
        "# TYPE modeld_test_requests_total counter\n"
        "modeld_test_requests_total{route=\"/predict\",code=\"200\"} 3\n"
        "modeld_test_requests_total{route=\"a\\\"b\\\\c\\nd\",code=\"400\"} 1\n"
        "# HELP modeld_test_queue_length Waiting\\nrequests \\\\ now.\n"
        "# TYPE modeld_test_queue_length gauge\n"
        "modeld_test_queue_length -1.5\n"
        "# HELP modeld_test_request_seconds Latency.\n"
        "# TYPE modeld_test_request_seconds histogram\n"
        "modeld_test_request_seconds_bucket{route=\"/predict\",le=\"0.005\"} 1\n"
        "modeld_test_request_seconds_bucket{route=\"/predict\",le=\"0.1\"} 2\n"
        "modeld_test_request_seconds_bucket{route=\"/predict\",le=\"1.0\"} 2\n"
        "modeld_test_request_seconds_bucket{route=\"/predict\",le=\"+Inf\"} 3\n"
        "modeld_test_request_seconds_sum{route=\"/predict\"} 7.011\n"
        "modeld_test_request_seconds_count{route=\"/predict\"} 3\n");
}

/* Text after the two comment lines of the one family that has metrics. */
static const char *samples(void)
{
    const char *p = strchr(write_out(), '\n');

    assert_non_null(p);
    p = strchr(p + 1, '\n');
    assert_non_null(p);
    return p + 1;
}

/* A label cannot end its quotes, its line, or be what no scraper reads. */
static void test_metrics__labels_are_escaped(void **state)
{
    static const struct {
        const char *value, *shown;
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "\"", "\\\"" },
        { "\\", "\\\\" },
        { "\\n", "\\\\n" },
        { "\n", "\\n" },
        { "\"} 9\nforged 1\n", "\\\"} 9\\nforged 1\\n" },
        { "a,b={c}", "a,b={c}" },
        { "\t\r\x01", "\t\r\x01" }, /* allowed as they are */
        { "\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80" },
        { "\xff", "invalid" },
        { "ok\xe4\xb8", "invalid" },
        { "\xed\xa0\x80", "invalid" },
    };
    char want[200];

    (void)state;
    teardown(NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        assert_int_equal(setup(NULL), 0);
        md_metric_inc(requests(cases[i].value, "1"));
        snprintf(want, sizeof(want),
                 "modeld_test_requests_total{route=\"%s\",code=\"1\"} 1\n",
                 cases[i].shown);
        assert_string_equal(samples(), want);
        teardown(NULL);
    }
    assert_int_equal(setup(NULL), 0);
    /* not a second line with the same labels */
    assert_ptr_equal(requests("\xff", "1"), requests("\xfe", "1"));
}

static md_status collect_bytes(void *ctx, md_metrics_out *o, md_error *err)
{
    const char *const labels[] = { "name", ctx };

    MD_TRY(md_metrics_out_family(o, MD_COUNTER, "modeld_test_total", ctx, err));
    return md_metrics_out_sample(o, 1, labels, 1, err);
}

/* What a collector tells goes the same way. */
static void test_metrics__collectors_are_escaped(void **state)
{
    static const md_collector c = { "bytes", collect_bytes };
    char text[] = "a\"b\\c\nd\xff\xc3\xa4";
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_metrics_add_collector(m, &c, text, &err), &err);
    assert_string_equal(
        write_out(),
        "# HELP modeld_test_total a\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\n"
        "# TYPE modeld_test_total counter\n"
        "modeld_test_total{name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\"} "
        "1\n");
}

static void test_metrics__numbers(void **state)
{
    static const struct {
        double x;
        const char *shown;
    } cases[] = {
        { 0, "0" },
        { -0.0, "-0" },
        { 1, "1" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 1e-7, "1e-07" },
        { 123456789, "123456789" },
        { 9007199254740991.0, "9007199254740991" }, /* 2^53 - 1 */
        { 1e15, "1e+15" },
        { 1e16, "1e+16" },
        { 1e300, "1e+300" },
        { INFINITY, "+Inf" },
        { -INFINITY, "-Inf" },
        { NAN, "NaN" },
    };
    char want[80];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_metric_set(md_metrics_get(m, first + 1, NULL), cases[i].x);
        snprintf(want, sizeof(want), "modeld_test_queue_length %s\n",
                 cases[i].shown);
        assert_string_equal(samples(), want);
    }
}

/* An observation belongs to the first bucket whose bound is not below it;
 * NaN to none but the last. */
static void test_metrics__buckets(void **state)
{
    static const struct {
        double x;
        unsigned from; /* first of the four buckets that counts it */
    } cases[] = {
        { -INFINITY, 0 }, { -1, 0 },    { 0, 0 },        { 0.005, 0 },
        { 0.0051, 1 },    { 0.1, 1 },   { 0.5, 2 },      { 1, 2 },
        { 1.0000001, 3 }, { 1e300, 3 }, { INFINITY, 3 }, { NAN, 3 },
    };
    static const char *const les[] = { "0.005", "0.1", "1.0", "+Inf" };
    const char *const route[] = { "r" };

    (void)state;
    teardown(NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const char *text;

        assert_int_equal(setup(NULL), 0);
        md_metric_observe(md_metrics_get(m, first + 2, route), cases[i].x);
        text = write_out();
        for (unsigned k = 0; k < MD_COUNT(les); k++) {
            char want[120];

            snprintf(want, sizeof(want),
                     "modeld_test_request_seconds_bucket{route=\"r\",le=\"%s\"}"
                     " %d\n",
                     les[k], k >= cases[i].from);
            if (!strstr(text, want))
                fail_msg("%g is not in %s", cases[i].x, want);
        }
        assert_non_null(strstr(text, "_count{route=\"r\"} 1\n"));
        teardown(NULL);
    }
    assert_int_equal(setup(NULL), 0);
}

/* The usual bounds rise, as the format wants them. */
static void test_metrics__seconds_rise(void **state)
{
    (void)state;
    assert_true(md_metric_n_seconds <= MD_METRIC_N_BOUNDS_MAX);
    assert_true(md_metric_seconds[0] > 0);
    for (uint32_t i = 1; i < md_metric_n_seconds; i++)
        assert_true(md_metric_seconds[i] > md_metric_seconds[i - 1]);
    assert_true(md_metric_seconds[md_metric_n_seconds - 1] == 10);
}

/* A page that does not fit is an error at each length, never half a page that
 * is taken for a whole one. */
static void test_metrics__page_limit(void **state)
{
    const char *const route[] = { "r" };
    size_t whole;

    (void)state;
    md_metric_inc(requests("a", "b"));
    md_metric_set(md_metrics_get(m, first + 1, NULL), 7);
    md_metric_observe(md_metrics_get(m, first + 2, route), 1);
    whole = strlen(write_out());
    for (size_t limit = 0; limit <= whole; limit++) {
        md_error err = MD_ERROR_INIT;
        md_buf small;
        md_status s;

        md_buf_init(&small, md_alloc_default(), limit);
        s = md_metrics_write(m, &small, &err);
        if (limit < whole)
            assert_md_fails(s, MD_TOO_LARGE, &err, "limit");
        else
            assert_md_ok(s, &err);
        md_buf_release(&small);
    }
}

static md_status collect_badly(void *ctx, md_metrics_out *o, md_error *err)
{
    (void)ctx;
    (void)o;
    return md_fail(err, MD_IO, "no statm");
}

static void test_metrics__a_collector_may_fail(void **state)
{
    static const md_collector c = { "bad", collect_badly };
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_metrics_add_collector(m, &c, NULL, &err), &err);
    assert_md_fails(md_metrics_write(m, &out, &err), MD_IO, &err, "no statm");
}

static void test_metrics__values(void **state)
{
    const char *const predict[] = { "/predict" };
    md_metric *h = md_metrics_get(m, first + 2, predict);

    (void)state;
    assert_ptr_equal(requests("a", "1"), requests("a", "1"));
    assert_ptr_not_equal(requests("a", "1"), requests("a", "2"));
    md_metric_add(requests("a", "1"), 5);
    assert_true(md_metric_value(requests("a", "1")) == 5);
    md_metric_observe(h, 0.5);
    md_metric_observe(h, (double)NAN);
    assert_true(md_metric_value(h) == 2);
}

static void test_metrics__empty_families_are_silent(void **state)
{
    (void)state;
    assert_string_equal(write_out(), "");
}

static void test_metrics__names_are_unique(void **state)
{
    md_error err = MD_ERROR_INIT;
    uint32_t number;

    (void)state;
    assert_md_fails(md_metrics_add(m, rows, 1, &number, &err), MD_EXISTS, &err,
                    "metric 'modeld_test_requests_total' exists already");
}

/* Label values from outside cannot grow the registry without end. */
static void test_metrics__labels_are_bounded(void **state)
{
    char name[16];
    md_metric *late;

    (void)state;
    for (int i = 0; i < MD_METRIC_N_CHILDREN_MAX + 50; i++) {
        snprintf(name, sizeof(name), "r%d", i);
        md_metric_inc(requests(name, "200"));
    }
    late = requests("never seen", "500");
    assert_ptr_equal(late, requests("other", "other"));
    assert_true(md_metric_value(late) == 50);
    assert_non_null(
        strstr(write_out(), "{route=\"other\",code=\"other\"} 50\n"));
}

static md_status collect(void *ctx, md_metrics_out *o, md_error *err)
{
    static const char *const labels[] = { "tag", "graph", "kind", "x\ny" };
    const double *x = ctx;

    MD_TRY(md_metrics_out_family(o, MD_GAUGE, "modeld_test_memory_bytes",
                                 "Memory in use.", err));
    MD_TRY(md_metrics_out_sample(o, *x, labels, 2, err));
    return md_metrics_out_sample(o, (double)INFINITY, NULL, 0, err);
}

static void test_metrics__collector(void **state)
{
    static const md_collector c = { "memory", collect };
    md_error err = MD_ERROR_INIT;
    double x = 4096;

    (void)state;
    assert_md_ok(md_metrics_add_collector(m, &c, &x, &err), &err);
    assert_string_equal(write_out(),
                        "# HELP modeld_test_memory_bytes Memory in use.\n"
                        "# TYPE modeld_test_memory_bytes gauge\n"
                        "modeld_test_memory_bytes{tag=\"graph\","
                        "kind=\"x\\ny\"} 4096\n"
                        "modeld_test_memory_bytes +Inf\n");
}

static void *count_often(void *arg)
{
    const char *const predict[] = { "/predict" };

    (void)arg;
    for (int i = 0; i < 5000; i++) {
        md_metric_inc(requests("/", "200"));
        md_metric_observe(md_metrics_get(m, first + 2, predict), 0.05);
    }
    return NULL;
}

static void test_metrics__many_threads(void **state)
{
    const char *const predict[] = { "/predict" };
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, NULL),
                         0);
    for (int i = 0; i < 20; i++)
        write_out();
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(md_metric_value(requests("/", "200")) == 20000);
    assert_true(md_metric_value(md_metrics_get(m, first + 2, predict)) ==
                20000);
}

/* Prometheus' own tool finds no fault, where it is installed. */
static void test_metrics__promtool(void **state)
{
    char path[] = "/tmp/md-test-metrics-XXXXXX", command[128];
    const char *const predict[] = { "/predict" };
    md_error err = MD_ERROR_INIT;
    const char *text;
    int fd, rc;

    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    md_metric_inc(requests("a\"b\\c\nd", "200"));
    md_metric_set(md_metrics_get(m, first + 1, NULL), 3);
    md_metric_observe(md_metrics_get(m, first + 2, predict), 0.5);
    text = write_out();
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_md_ok(md_file_write_atomic(path, text, strlen(text), &err), &err);
    snprintf(command, sizeof(command), "promtool check metrics <%s", path);
    rc = system(command);
    unlink(path);
    assert_int_equal(rc, 0);
}

static void *fail_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    return NULL;
}

static void test_metrics__out_of_memory(void **state)
{
    const md_alloc none = { .alloc = fail_alloc };
    md_error err = MD_ERROR_INIT;
    md_metrics *p = NULL;

    (void)state;
    assert_md_fails(md_metrics_new(&p, &none, &err), MD_NOMEM, &err, "memory");
    assert_null(p);
    md_metrics_free(NULL);
}

/* Fails from the n-th allocation on. */
typedef struct countdown {
    int left;
} countdown;

static void *alloc_some(void *ctx, size_t size, size_t align)
{
    countdown *c = ctx;
    const md_alloc *a = md_alloc_default();

    return c->left-- > 0 ? a->alloc(a->ctx, size, align) : NULL;
}

static void *resize_some(void *ctx, void *p, size_t old, size_t size,
                         size_t align)
{
    countdown *c = ctx;
    const md_alloc *a = md_alloc_default();

    return c->left-- > 0 ? a->resize(a->ctx, p, old, size, align) : NULL;
}

static void free_some(void *ctx, void *p)
{
    (void)ctx;
    md_free(md_alloc_default(), p);
}

static void test_metrics__every_allocation_may_fail(void **state)
{
    bool whole = false;

    (void)state;
    for (int n = 0; !whole; n++) {
        countdown left = { n };
        const md_alloc a = { alloc_some, resize_some, free_some, &left };
        const char *const values[] = { "r", "c" };
        md_error err = MD_ERROR_INIT;
        md_metrics *p = NULL;
        uint32_t number;

        whole = md_metrics_new(&p, &a, &err) == MD_OK &&
                md_metrics_add(p, rows, 3, &number, &err) == MD_OK;
        if (!whole)
            assert_int_equal(err.status, MD_NOMEM);
        /* A metric without room counts into the void. */
        for (int i = 0; whole && i < 500; i++) {
            char name[16];
            const char *const other[] = { name, "c" };

            snprintf(name, sizeof(name), "%d", i);
            md_metric_inc(md_metrics_get(p, number, other));
        }
        if (whole)
            md_metric_inc(md_metrics_get(p, number, values));
        md_metrics_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics__text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__labels_are_escaped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__collectors_are_escaped,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__buckets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__seconds_rise, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__page_limit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__a_collector_may_fail,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__empty_families_are_silent,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics__names_are_unique, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__labels_are_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__collector, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__many_threads, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_metrics__promtool, setup,
                                        teardown),
        cmocka_unit_test(test_metrics__out_of_memory),
        cmocka_unit_test(test_metrics__every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
