/* Files of TensorFlow Lite become the graphs that they should.  What they
 * compute is compared in tests/e2e/test_tflite.py. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/check.h"
#include "convert/convert.h"
#include "convert/tflite/build.h"
#include "support/fail_alloc.h"

#define FOLDER MD_TEST_DIR "/golden/tflite/"

static uint32_t count(const md_graph *g, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i]->op, op) == 0;
    return n;
}

/* Between the input's Transpose and the outputs' a picture stays channels
 * first; the flattened one is multiplied as it lies. */
static void test_tflite__no_transposes_inside(void **state)
{
    static const char *const files[] = { "flatten.tflite",
                                         "flatten_float16.tflite",
                                         "flatten_int8.tflite",
                                         "flatten_int16x8.tflite" };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(files); i++) {
        char path[512];
        md_convert_report r;
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;

        snprintf(path, sizeof(path), "%s%s", FOLDER, files[i]);
        assert_md_ok(md_convert(&m, path, NULL, &r, md_alloc_default(), &err),
                     &err);
        assert_int_equal(r.n_transposes, 1);
        assert_int_equal(count(m->graph, "Transpose"), 1);
        assert_int_equal(count(m->graph, "Gemm"), 2);
        assert_true(r.ran);
        md_model_free(m);
    }
}

/* Free sizes stay free, under the names of the file. */
static void test_tflite__keeps_names_and_sizes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    const md_value *x;

    (void)state;
    assert_md_ok(md_convert(&m, FOLDER "flatten.tflite", NULL, NULL,
                            md_alloc_default(), &err),
                 &err);
    x = md_graph_value(m->graph, m->graph->inputs[0]);
    assert_int_equal(x->type.rank, 4);
    assert_int_not_equal(x->type.dim[0].sym, 0);
    assert_string_equal(m->symbols[x->type.dim[0].sym], "batch");
    assert_true(x->type.dim[3].k == 3);
    assert_string_equal(md_model_meta(m, "modeld.source"), "tflite");
    assert_int_equal(md_model_opset(m, ""), 21);
    md_model_free(m);
}

/* Every allocation fails once: a status, nothing left behind. */
static void test_tflite__out_of_memory(void **state)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_status s = MD_NOMEM;
    md_map map;

    (void)state;
    opts.no_self_check = true;
    assert_md_ok(md_map_open(&map, FOLDER "flatten_int8.tflite", &err), &err);
    for (int64_t n = 0; s != MD_OK; n++) {
        fail_alloc f;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_convert_bytes(&m, map.data, map.size, "net", &opts, NULL,
                             &f.alloc, &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        if (s == MD_OK)
            md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
    md_map_release(&map);
}

/* From memory and from a mapped file comes the same. */
static void test_tflite__from_bytes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *a = NULL;
    md_model *b = NULL;
    md_map map;

    (void)state;
    assert_md_ok(md_map_open(&map, FOLDER "flatten.tflite", &err), &err);
    assert_md_ok(md_convert_bytes(&a, map.data, map.size, "net", NULL, NULL,
                                  md_alloc_default(), &err),
                 &err);
    md_map_release(&map);
    assert_md_ok(md_convert(&b, FOLDER "flatten.tflite", NULL, NULL,
                            md_alloc_default(), &err),
                 &err);
    assert_int_equal(a->graph->n_nodes, b->graph->n_nodes);
    for (uint32_t i = 0; i < a->graph->n_values; i++) {
        const md_tensor *x = a->graph->values[i].cdata;
        const md_tensor *y = b->graph->values[i].cdata;

        assert_int_equal(x != NULL, y != NULL);
        if (x && y && md_tensor_size(x) > 0)
            assert_memory_equal(x->data, y->data, md_tensor_size(x));
    }
    md_model_free(a);
    md_model_free(b);
}

static void test_tflite__chooses_a_signature(void **state)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    (void)state;
    opts.how.signature = "nothing";
    assert_md_fails(md_convert(&m, FOLDER "flatten.tflite", &opts, NULL,
                               md_alloc_default(), &err),
                    MD_NOT_FOUND, &err, "tflite: no signature 'nothing'");
}

static md_model *convert_as(const char *path, bool plain)
{
    md_convert_report r;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_map map;

    assert_md_ok(md_map_open(&map, path, &err), &err);
    md_convert_source src = { .bytes = map.data,
                              .size = map.size,
                              .plain = plain };
    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    assert_md_ok(md_converter_tflite.convert(m, &r, &src, &err), &err);
    md_map_release(&map);
    return m;
}

/* The import form turns pictures around each operator; another net's numbers
 * are not its numbers. */
static void test_tflite__self_check_tells_nets_apart(void **state)
{
    md_model *plain = convert_as(FOLDER "flatten.tflite", true);
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    const md_convert_trial usual = { .batch = 0 };
    static const char *const files[] = { FOLDER "flatten.tflite",
                                         FOLDER "flatten_float16.tflite" };

    (void)state;
    assert_true(count(plain->graph, "Transpose") > 2);
    for (size_t i = 0; i < MD_COUNT(files); i++) {
        md_model *m = convert_as(files[i], false);
        md_error err = MD_ERROR_INIT;
        md_session *s = NULL;
        char text[MD_CONVERT_TEXT];
        bool ran = false;

        assert_md_ok(md_session_new(&s, m, &opts, &err), &err);
        if (i == 0) {
            assert_md_ok(md_check__compare(s, plain, &usual, &ran, text, &err),
                         &err);
            assert_non_null(strstr(text, "argmax the same"));
        } else {
            assert_md_fails(
                md_check__compare(s, plain, &usual, &ran, text, &err),
                MD_MISMATCH, &err, "self-check: not as");
        }
        assert_true(ran);
        md_session_free(s);
    }
    md_model_free(plain);
}

/* The list goes by code and has each operator once. */
static void test_tflite__list_is_whole(void **state)
{
    int last = -1;
    int n = 0;

    (void)state;
    for (const md_tfl_row *r = md_tfl_rows(); r->name; r++) {
        if (r->code < 0)
            continue;
        assert_true(r->code > last);
        /* CUSTOM and the placeholder for codes above 127 are none. */
        for (int k = last + 1; k < r->code; k++)
            assert_true(k == 32 || k == 127);
        last = r->code;
        n++;
    }
    assert_int_equal(last, 161);
    assert_int_equal(n, 160);
    assert_null(md_tfl_row_find(32, "Nobody"));
    assert_string_equal(md_tfl_row_find(32, "MaxUnpooling2D")->name,
                        "MaxUnpooling2D");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tflite__no_transposes_inside),
        cmocka_unit_test(test_tflite__keeps_names_and_sizes),
        cmocka_unit_test(test_tflite__out_of_memory),
        cmocka_unit_test(test_tflite__from_bytes),
        cmocka_unit_test(test_tflite__chooses_a_signature),
        cmocka_unit_test(test_tflite__self_check_tells_nets_apart),
        cmocka_unit_test(test_tflite__list_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
