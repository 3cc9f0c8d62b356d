#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "formats/onnx.h"
#include "support/onnx_data.h"

/* Loads every model of one suite; how many there were. */
static unsigned load_suite(const char *data, const char *suite)
{
    char folder[2048];
    char path[4096];
    unsigned n = 0;
    const struct dirent *e;
    DIR *dir;

    snprintf(folder, sizeof(folder), "%s/%s", data, suite);
    dir = opendir(folder);
    assert_non_null(dir);
    while ((e = readdir(dir))) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_status s;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, e->d_name);
        s = md_onnx_load(&m, path, md_alloc_default(), &err);
        if (s == MD_NOT_FOUND)
            continue;
        assert_md_ok(s, &err);
        assert_true(m->graph->n_nodes > 0);
        assert_true(m->graph->n_outputs > 0);
        md_model_free(m);
        n++;
    }
    closedir(dir);
    return n;
}

static void test_onnx__loads_the_backend_tests(void **state)
{
    static const char *const suites[] = { "node", "simple", "light",
                                          "pytorch-operator",
                                          "pytorch-converted" };
    char buf[1024];
    const char *data = md_test_onnx_data(buf, sizeof(buf));
    unsigned n = 0;

    (void)state;
    if (!data) {
        print_message("skipped: python3 has no onnx with backend tests\n");
        skip();
    }
    for (size_t i = 0; i < MD_COUNT(suites); i++)
        n += load_suite(data, suites[i]);
    print_message("loaded %u models\n", n);
    assert_true(n > 1000);
}

static void test_onnx__refuses_what_is_no_model(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    (void)state;
    assert_md_fails(
        md_onnx_load(&m, "/nonexistent/x.onnx", md_alloc_default(), &err),
        MD_NOT_FOUND, &err, "model '/nonexistent/x.onnx'");
    assert_md_fails(md_onnx_parse(&m, "", 0, NULL, md_alloc_default(), &err),
                    MD_CORRUPT, &err, "empty file");
    assert_md_fails(
        md_onnx_parse(&m, "{\"a\":1}", 7, NULL, md_alloc_default(), &err),
        MD_CORRUPT, &err, "protobuf");
    assert_md_fails(
        md_onnx_parse(&m, "\x08\x07", 2, NULL, md_alloc_default(), &err),
        MD_CORRUPT, &err, "no graph");
    assert_md_fails(md_onnx_parse(&m, "\x08\x63\x3a\x00", 4, NULL,
                                  md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err, "ir_version 99 given, 1 to 13");
    assert_md_fails(
        md_onnx_parse(&m, "\x3a\x00", 2, NULL, md_alloc_default(), &err),
        MD_CORRUPT, &err, "ir_version 0");
    assert_null(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx__loads_the_backend_tests),
        cmocka_unit_test(test_onnx__refuses_what_is_no_model),
    };

    return cmocka_run_group_tests_name("onnx", tests, NULL, NULL);
}
