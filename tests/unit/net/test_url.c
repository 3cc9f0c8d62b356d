#include "support/test.h"

#include <string.h>

#include "net/url.h"

static void test_url__decodes(void **state)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "a%20b", "a b" },
        { "%41%4a%4A", "AJJ" },
        { "%2e%2E%2f", "../" },
        { "a+b", "a+b" },
        { "%252e", "%2e" }, /* once, not until nothing is left */
        { "%c3%a9", "\xc3\xa9" },
        { "%00", NULL },
        { "a%00b", NULL },
        { "%", NULL },
        { "%4", NULL },
        { "%4g", NULL },
        { "%g4", NULL },
        { "abc%", NULL },
        { "12345678", NULL }, /* no room for the NUL */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[8];
        size_t n = 99;
        bool ok = md_url_decode(out, sizeof(out), md_slice_of(cases[i].in), &n);

        if (ok != (cases[i].out != NULL))
            fail_msg("'%s' was %s", cases[i].in, ok ? "taken" : "refused");
        if (ok) {
            assert_string_equal(out, cases[i].out);
            assert_int_equal(n, strlen(cases[i].out));
        }
    }
}

static void test_url__matches_templates(void **state)
{
    static const struct {
        const char *template;
        const char *path;
        const char *model; /* NULL: no match; "-": match without it */
    } cases[] = {
        { "/", "/", "-" },
        { "/", "", NULL },
        { "/", "//", NULL },
        { "/v2", "/v2", "-" },
        { "/v2", "/v2/", NULL },
        { "/v2", "/v3", NULL },
        { "/v2", "/v22", NULL },
        { "/v2", "/v", NULL },
        { "/v2", "/%762", "-" },
        { "/v2", "v2", NULL },
        { "/v2/models/{m}", "/v2/models/a", "a" },
        { "/v2/models/{m}", "/v2/models/", NULL },
        { "/v2/models/{m}", "/v2/models", NULL },
        { "/v2/models/{m}", "/v2/models/a/b", NULL },
        { "/v2/models/{m}", "/v2/models/a%2Fb", "a/b" },
        { "/v2/models/{m}", "/v2/models/%00", NULL },
        { "/v2/models/{m}", "/v2/models/%2", NULL },
        { "/v2/models/{m}/infer", "/v2/models/a%20b/infer", "a b" },
        { "/v2/models/{m}/infer", "/v2/models/a/ready", NULL },
        { "/v1/models/{m}:predict", "/v1/models/x:predict", "x" },
        { "/v1/models/{m}:predict", "/v1/models/x:y:predict", "x:y" },
        { "/v1/models/{m}:predict", "/v1/models/:predict", NULL },
        { "/v1/models/{m}:predict", "/v1/models/x:other", NULL },
        { "/v1/models/{m}:predict", "/v1/models/x", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        md_url_params p;
        bool ok =
            md_url_match(cases[i].template, md_slice_of(cases[i].path), &p);

        if (ok != (cases[i].model != NULL))
            fail_msg("'%s' %s '%s'", cases[i].path,
                     ok ? "fits" : "does not fit", cases[i].template);
        if (!ok || !cases[i].model)
            continue;
        if (strcmp(cases[i].model, "-") == 0)
            assert_null(md_url_param_get(&p, "m"));
        else
            assert_string_equal(md_url_param_get(&p, "m"), cases[i].model);
    }
}

static void test_url__two_parameters(void **state)
{
    md_url_params p;

    (void)state;
    assert_true(md_url_match("/v2/models/{model}/versions/{version}/infer",
                             md_slice_of("/v2/models/net%2D1/versions/3/infer"),
                             &p));
    assert_int_equal(p.n, 2);
    assert_string_equal(md_url_param_get(&p, "model"), "net-1");
    assert_string_equal(md_url_param_get(&p, "version"), "3");
    assert_null(md_url_param_get(&p, "versio"));
}

static void test_url__segment_larger_than_the_store(void **state)
{
    char path[2 * MD_URL_STORE_SIZE];
    md_url_params p;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    for (size_t n = MD_URL_STORE_SIZE - 3; n < sizeof(path); n++)
        assert_int_equal(md_url_match("/{m}", (md_slice){ path, n }, &p),
                         n - 1 < MD_URL_STORE_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__decodes),
        cmocka_unit_test(test_url__matches_templates),
        cmocka_unit_test(test_url__two_parameters),
        cmocka_unit_test(test_url__segment_larger_than_the_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
