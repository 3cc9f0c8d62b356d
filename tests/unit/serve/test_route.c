#include "support/test.h"

#include <string.h>

#include "serve/grpc.h"
#include "serve/openapi.h"
#include "serve/route.h"

static void test_route__finds(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *id; /* NULL: 404; else of the route or the Allow field */
        bool allowed;
    } cases[] = {
        { "POST", "/predict", "predict", true },
        { "POST", "/predict/a", "predict", true },
        { "GET", "/v2", "v2_server", true },
        { "HEAD", "/v2", "v2_server", true },
        { "GET", "/v2/health/live", "v2_live", true },
        { "GET", "/v2/health/ready", "v2_ready", true },
        { "GET", "/v2/models", "v2_models", true },
        { "GET", "/v2/models/a", "v2_model", true },
        { "GET", "/v2/models/a/versions/1", "v2_model", true },
        { "GET", "/v2/models/a/ready", "v2_model_ready", true },
        { "GET", "/v2/models/a/versions/1/ready", "v2_model_ready", true },
        { "POST", "/v2/models/a/infer", "v2_infer", true },
        { "POST", "/v2/models/a/versions/1/infer", "v2_infer", true },
        { "GET", "/metrics", "metrics", true },
        { "GET", "/openapi.json", "openapi", true },
        { "GET", "/", "console", true },
        { "HEAD", "/v2/logging", "v2_logging", true },
        { "POST", "/v2/logging", "v2_logging_set", true },
        { "PUT", "/v2/logging", "GET, HEAD, POST", false },
        { "POST", "/v2/models/a/trace/setting", "v2_trace_model_set", true },
        { "GET", "/predict", "POST", false },
        { "HEAD", "/v2/models/a/infer", "POST", false },
        { "POST", "/v2", "GET, HEAD", false },
        { "DELETE", "/v2/models/a", "GET, HEAD", false },
        { "get", "/v2", "GET, HEAD", false },
        { "GET", "/v2/", NULL, false },
        { "GET", "//", NULL, false },
        { "GET", "/nope", NULL, false },
        { "GET", "/v2/models/a/b", NULL, false },
        { "GET", "/v2/models/../v2", NULL, false },
        { "POST", "/predict/%00", NULL, false },
        { "OPTIONS", "*", NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_url_params params;
        md_error err = MD_ERROR_INIT;
        const char *allow = NULL;
        size_t at = 0;
        md_status s =
            md_route_find(&at, &params, &allow, md_slice_of(cases[i].method),
                          md_slice_of(cases[i].path), &err);
        const char *got = s == MD_OK ? md_route_id(at) : allow;

        assert_int_equal(s, cases[i].allowed ? MD_OK
                            : cases[i].id    ? MD_METHOD
                                             : MD_NOT_FOUND);
        if (cases[i].id)
            assert_string_equal(got, cases[i].id);
        else
            assert_null(got);
    }
}

/* Every row says what the document and the router need. */
static void test_route__rows_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_N_ROUTES; i++) {
        const md_route *r = md_routes[i];

        assert_non_null(r->handle);
        assert_non_null(r->summary);
        assert_non_null(r->tag);
        assert_non_null(r->reply_type);
        assert_int_equal(r->paths[0][0], '/');
        assert_int_equal(strcmp(r->method, "POST") == 0,
                         r->request_type != NULL);
        if (strcmp(r->reply_type, "application/json") == 0)
            assert_non_null(r->reply_schema);
    }
}

static void count_schemas(const char *schema)
{
    md_json r;
    md_json_token t;
    md_error err = MD_ERROR_INIT;

    if (!schema)
        return;
    md_json_init(&r, schema, strlen(schema), NULL);
    do
        assert_md_ok(md_json_next(&r, &t, &err), &err);
    while (t.kind != MD_JSON_END);
}

/* What clients can be kept from: all but what operators look at. */
static void test_route__belong_to_an_api(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_N_ROUTES; i++) {
        const bool free = md_routes[i]->api == MD_API_FREE;

        assert_int_equal(free, strcmp(md_routes[i]->tag, "operation") == 0);
    }
    for (size_t i = 0; i < MD_N_GRPCS; i++)
        assert_int_equal(
            md_grpc_methods[i]->api == MD_API_FREE,
            strncmp(md_grpc_methods[i]->service, "grpc.reflection", 15) == 0);
}

static void test_route__schemas_are_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_N_ROUTES; i++) {
        count_schemas(md_routes[i]->request_schema);
        count_schemas(md_routes[i]->reply_schema);
    }
}

/* A JSON reader's view of "paths": each once, each operation id once. */
static void test_route__openapi_names_each_path_once(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_json_writer w;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    md_json_writer_init(&w, &b);
    md_openapi_write(&w);
    assert_md_ok(md_json_finish(&w, &err), &err);
    count_schemas((const char *)b.data);
    for (size_t i = 0; i < MD_N_ROUTES; i++)
        for (int k = 0; k < 2 && md_routes[i]->paths[k]; k++) {
            char want[128] = "\"";
            const char *first;

            strncat(want, md_routes[i]->paths[k], 100);
            strncat(want, "\":{", 4);
            first = strstr((const char *)b.data, want);
            if (!first || strstr(first + 1, want))
                fail_msg("%s is not there once", want);
        }
    md_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__finds),
        cmocka_unit_test(test_route__rows_are_complete),
        cmocka_unit_test(test_route__belong_to_an_api),
        cmocka_unit_test(test_route__schemas_are_json),
        cmocka_unit_test(test_route__openapi_names_each_path_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
