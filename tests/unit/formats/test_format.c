#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "formats/format.h"
#include "formats/npy.h"
#include "formats/onnx.h"
#include "formats/tensor_pb.h"
#include "support/build.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

static float value = 2.5f;
static const md_tensor scalar = { .dtype = MD_DTYPE_F32,
                                  .shape = { 0 },
                                  .data = &value };

static void test_format__the_list_is_complete(void **state)
{
    const md_format *const *list = md_format_list();
    size_t n = 0;

    (void)state;
    for (; list[n]; n++) {
        assert_non_null(list[n]->name);
        assert_non_null(list[n]->title);
        assert_int_equal(list[n]->ending[0], '.');
    }
    assert_int_equal(n, 5);
}

static void test_format__contents_decide_not_names(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *name;
    } cases[] = {
        { "\x93NUMPY\x01\x00", 8, "npy" },
        { "PK\x05\x06", 4, "npz" },
        { "\0\0\x8\1\0\0\0\0", 8, "idx" },
        { "PK\x03\x04zzzzzzzzzzzzzzzzzzzzzz\x05\x00\x00\x00x.npy", 35, "npz" },
        { "PK\x03\x04zzzzzzzzzzzzzzzzzzzzzz\x05\x00\x00\x00x.txt", 35, NULL },
        { "PK\x03\x04zzzzzzzzzzzzzzzzzzzzzz\xff\x00\x00\x00x.npy", 35, NULL },
        { "\x08\x07\x3a\x00", 4, "onnx" },
        { "", 0, NULL },
        { "\x89HDF\r\n\x1a\n", 8, NULL },
        { "{}", 2, NULL },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const md_format *f = md_format_find(cases[i].bytes, cases[i].size);

        if (cases[i].name) {
            assert_non_null(f);
            assert_string_equal(f->name, cases[i].name);
        } else {
            assert_null(f);
        }
    }
}

/* A constant w[n] whose address in the file goes down by one with padding,
 * which shortens the producer's name; *t is the constant. */
static md_model *load_padded(const md_temp *dir, int64_t n, size_t padding,
                             md_load use, const md_tensor **t)
{
    static const char name[] = "a producer";
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *m = md_build_model(21), *out = NULL;
    md_shape shape = { 1, { n } };
    md_tensor w;
    md_value_id id, y;

    assert_true(padding < sizeof(name));
    m->producer_name = name + padding;
    assert_md_ok(
        md_tensor_alloc(&w, MD_DTYPE_F32, &shape, md_alloc_default(), &err),
        &err);
    for (int64_t i = 0; i < n; i++)
        ((float *)w.data)[i] = (float)i;
    assert_md_ok(md_graph_add_const(&id, m->graph, "w", w, &err), &err);
    assert_md_ok(md_graph_add_value(&y, m->graph, "y", &err), &err);
    assert_md_ok(
        md_graph_add_node(NULL, m->graph,
                          &(md_node_spec){ "", "Identity", "", &id, 1, &y, 1 },
                          &err),
        &err);
    assert_md_ok(md_graph_add_output(m->graph, y, &err), &err);
    md_temp_path(path, dir, "padded.onnx");
    assert_md_ok(md_onnx_save(m, path, NULL, &err), &err);
    md_model_free(m);
    assert_md_ok(
        md_format_load_model(&out, path, use, md_alloc_default(), &err), &err);
    *t = out->graph->values[md_graph_find(out->graph, "w")].cdata;
    return out;
}

/* Three of four addresses are unaligned.  Only large constants, and only those of models to be run, may lie where
 * their type does not allow; all have their contents. */
static void test_format__to_run_leaves_large_constants(void **state)
{
    static const struct {
        int64_t n;
        md_load use;
        bool left;
    } rows[] = {
        { 1 << 14, MD_LOAD_TO_RUN, true },
        { 1 << 14, MD_LOAD_TO_READ, false },
        { (1 << 14) - 1, MD_LOAD_TO_RUN, false },
    };
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        int n_left = 0;

        for (size_t padding = 0; padding < 8; padding++) {
            const md_tensor *t;
            md_model *m =
                load_padded(&dir, rows[i].n, padding, rows[i].use, &t);
            float last;

            memcpy(&last,
                   (const char *)t->data +
                       ((size_t)rows[i].n - 1) * sizeof(last),
                   sizeof(last));
            assert_true(last == (float)(rows[i].n - 1));
            n_left += !md_tensor_is_aligned(t);
            assert_true(md_tensor_is_aligned(t) || !t->owner);
            md_model_free(m);
        }
        assert_true(n_left == (rows[i].left ? 6 : 0));
    }
    md_temp_remove(&dir);
}

static void test_format__loads_models_and_tensors(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();
    md_model *m = NULL;
    md_tensor t;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    /* A name that lies does not matter. */
    md_temp_path(path, &dir, "model.npy");
    assert_md_ok(md_onnx_save(sample, path, NULL, &err), &err);
    assert_md_ok(md_format_load_model(&m, path, MD_LOAD_TO_READ,
                                      md_alloc_default(), &err),
                 &err);
    assert_int_equal(m->graph->n_nodes, sample->graph->n_nodes);
    assert_md_fails(md_format_load_tensor(&t, path, md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err, "(ONNX model) is not one tensor");
    md_model_free(m);
    md_model_free(sample);
    md_temp_path(path, &dir, "x.dat");
    assert_md_ok(md_npy_save(&scalar, path, &err), &err);
    assert_md_ok(md_format_load_tensor(&t, path, md_alloc_default(), &err),
                 &err);
    assert_true(*(float *)t.data == 2.5f);
    md_tensor_release(&t);
    assert_md_fails(md_format_load_model(&m, path, MD_LOAD_TO_READ,
                                         md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err, "(NumPy array) holds no model");
    md_temp_path(path, &dir, "input_0.pb");
    assert_md_ok(md_tensor_pb_save(&scalar, "x", path, &err), &err);
    assert_md_ok(md_format_load_tensor(&t, path, md_alloc_default(), &err),
                 &err);
    assert_true(*(float *)t.data == 2.5f);
    md_tensor_release(&t);
    md_temp_remove(&dir);
}

static void test_format__unknown_files_are_named(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    const md_format *f = NULL;
    md_error err = MD_ERROR_INIT;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "note.txt", "hello", 5);
    assert_md_fails(
        md_format_detect(&f, md_temp_path(path, &dir, "note.txt"), &err),
        MD_UNSUPPORTED, &err,
        "note.txt' is of no known format: NumPy array, NumPy archive, IDX array, ONNX");
    assert_md_fails(md_format_detect(&f, md_temp_path(path, &dir, "no"), &err),
                    MD_NOT_FOUND, &err, "no'");
    assert_null(f);
    md_temp_remove(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format__the_list_is_complete),
        cmocka_unit_test(test_format__contents_decide_not_names),
        cmocka_unit_test(test_format__to_run_leaves_large_constants),
        cmocka_unit_test(test_format__loads_models_and_tensors),
        cmocka_unit_test(test_format__unknown_files_are_named),
    };

    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
