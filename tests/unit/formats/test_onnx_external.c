#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/onnx.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

static const float values[] = { 1, 2, 3, 4 };

static void put_entry(md_pb_writer *w, const char *key, const char *value)
{
    md_pb_mark entry;

    if (!value)
        return;
    entry = md_pb_begin(w, 13);
    md_pb_put_text(w, 1, key);
    md_pb_put_text(w, 2, value);
    md_pb_end(w, entry);
}

/* Write t/model.onnx whose constant w, float32 [2], lies where told. */
static void write_model(const md_temp *t, const char *location,
                        const char *offset, const char *length)
{
    static const int64_t two = 2;
    md_error err = MD_ERROR_INIT;
    md_pb_writer w;
    md_pb_mark graph;
    md_pb_mark tensor;

    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    graph = md_test_begin_model(&w, 8);
    tensor = md_pb_begin(&w, 5);
    md_pb_put_ints(&w, 1, &two, 1);
    md_pb_put_int(&w, 2, MD_DTYPE_F32);
    md_pb_put_text(&w, 8, "w");
    put_entry(&w, "location", location);
    put_entry(&w, "offset", offset);
    put_entry(&w, "length", length);
    put_entry(&w, "checksum", "ignored");
    md_pb_put_int(&w, 14, 1);
    md_pb_end(&w, tensor);
    md_pb_end(&w, graph);
    assert_md_ok(md_pb_writer_finish(&w, NULL, &err), &err);
    md_temp_write(t, "model.onnx", w.buf.data, w.buf.size);
    md_pb_writer_release(&w);
}

static md_status load(md_model **m, const md_temp *t, md_error *err)
{
    char path[MD_TEMP_SIZE * 2];

    return md_onnx_load(m, md_temp_path(path, t, "model.onnx"),
                        md_alloc_default(), err);
}

static void test_onnx_external__data_is_read_where_it_lies(void **state)
{
    static const struct {
        const char *offset, *length;
        size_t size; /* of the file */
        float want;
    } cases[] = {
        { "0", "8", 16, 1 },  { "8", "8", 16, 3 },  { NULL, "8", 16, 1 },
        { "8", NULL, 16, 3 }, { NULL, NULL, 8, 1 },
    };
    md_temp t;

    (void)state;
    md_temp_make(&t);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        const md_value *v;

        md_temp_write(&t, "w.bin", values, cases[i].size);
        write_model(&t, "w.bin", cases[i].offset, cases[i].length);
        assert_md_ok(load(&m, &t, &err), &err);
        v = md_graph_value(m->graph, md_graph_find(m->graph, "w"));
        assert_true(((const float *)v->cdata->data)[0] == cases[i].want);
        assert_null(v->cdata->owner);
        md_model_free(m);
    }
    md_temp_remove(&t);
}

static void test_onnx_external__unaligned_data_is_copied(void **state)
{
    md_error err = MD_ERROR_INIT;
    char bytes[9] = { 0 };
    md_model *m = NULL;
    const md_value *v;
    md_temp t;

    (void)state;
    md_temp_make(&t);
    memcpy(bytes + 1, values, 8);
    md_temp_write(&t, "w.bin", bytes, sizeof(bytes));
    write_model(&t, "w.bin", "1", "8");
    assert_md_ok(load(&m, &t, &err), &err);
    v = md_graph_value(m->graph, md_graph_find(m->graph, "w"));
    assert_non_null(v->cdata->owner);
    assert_memory_equal(v->cdata->data, values, 8);
    md_model_free(m);
    md_temp_remove(&t);
}

static void test_onnx_external__refuses_bad_places(void **state)
{
    static const struct {
        const char *location, *offset, *length;
        md_status status;
        const char *text;
    } cases[] = {
        { NULL, "0", "8", MD_CORRUPT, "without a location" },
        { "/etc/passwd", "0", "8", MD_DENIED, "not relative" },
        { "../w.bin", "0", "8", MD_DENIED, "by '..'" },
        { "link", "0", "8", MD_DENIED, "symbolic link" },
        { "hard", "0", "8", MD_DENIED, "hard links" },
        { "none.bin", "0", "8", MD_NOT_FOUND, "none.bin" },
        { "w.bin", "17", "8", MD_CORRUPT, "bytes [17, +8) of a file of 16" },
        { "w.bin", "12", "8", MD_CORRUPT, "bytes [12, +8) of a file of 16" },
        { "w.bin", "0", "4", MD_CORRUPT, "4 bytes given, 8 expected" },
        { "w.bin", "0", NULL, MD_CORRUPT, "16 bytes given, 8 expected" },
        { "w.bin", "-1", "8", MD_CORRUPT, "offset '-1' is not a number" },
        { "w.bin", "0x0", "8", MD_CORRUPT, "offset '0x0'" },
        { "w.bin", "0", "", MD_CORRUPT, "length '' is not a number" },
        { "w.bin", "0", "99999999999999999999", MD_CORRUPT, "length '9999" },
        { "w.bin", "999999999999999999", "8", MD_CORRUPT, "of a file of 16" },
    };
    char from[MD_TEMP_SIZE * 2];
    char to[MD_TEMP_SIZE * 2];
    md_temp t;

    (void)state;
    md_temp_make(&t);
    md_temp_write(&t, "w.bin", values, sizeof(values));
    md_temp_write(&t, "twice", values, sizeof(values));
    assert_int_equal(symlink("w.bin", md_temp_path(to, &t, "link")), 0);
    assert_int_equal(
        link(md_temp_path(from, &t, "twice"), md_temp_path(to, &t, "hard")), 0);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;

        write_model(&t, cases[i].location, cases[i].offset, cases[i].length);
        assert_md_fails(load(&m, &t, &err), cases[i].status, &err,
                        cases[i].text);
        assert_non_null(strstr(err.msg, "initializer 'w': "));
    }
    md_temp_remove(&t);
}

static void test_onnx_external__models_in_memory_have_no_files(void **state)
{
    static const int64_t two = 2;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;
    md_pb_mark graph;
    md_pb_mark tensor;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    graph = md_test_begin_model(&w, 8);
    tensor = md_pb_begin(&w, 5);
    md_pb_put_ints(&w, 1, &two, 1);
    md_pb_put_int(&w, 2, MD_DTYPE_F32);
    put_entry(&w, "location", "w.bin");
    md_pb_put_int(&w, 14, 1);
    md_pb_end(&w, tensor);
    md_pb_end(&w, graph);
    assert_md_fails(md_onnx_parse(&m, w.buf.data, w.buf.size, NULL,
                                  md_alloc_default(), &err),
                    MD_DENIED, &err, "the model has no folder");
    md_pb_writer_release(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx_external__data_is_read_where_it_lies),
        cmocka_unit_test(test_onnx_external__unaligned_data_is_copied),
        cmocka_unit_test(test_onnx_external__refuses_bad_places),
        cmocka_unit_test(test_onnx_external__models_in_memory_have_no_files),
    };

    return cmocka_run_group_tests_name("onnx_external", tests, NULL, NULL);
}
