#include "support/test.h"

#include <string.h>

#include "base/file.h"
#include "convert/convert.h"
#include "formats/npy.h"
#include "formats/onnx.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

#define KERAS MD_EXAMPLES_DIR "/fashion/seed_cnn.keras"

/* A file of the folder, written as bytes, and its path. */
typedef struct fixture {
    md_temp dir;
    char path[MD_TEMP_SIZE * 2];
} fixture;

static const char *write_file(fixture *f, const char *name, const void *bytes,
                              size_t size)
{
    md_temp_write(&f->dir, name, bytes, size);
    return md_temp_path(f->path, &f->dir, name);
}

static md_status load(md_model **out, const char *path, md_error *err)
{
    return md_convert_load(out, path, MD_LOAD_TO_READ, NULL, md_alloc_default(),
                           err);
}

/* The same model, whichever of the two ways it came. */
static void test_convert__loads_what_a_converter_takes(void **state)
{
    md_model *file = NULL, *memory = NULL;
    md_error err = MD_ERROR_INIT;
    md_map map;

    (void)state;
    assert_md_ok(load(&file, KERAS, &err), &err);
    assert_md_ok(md_map_open(&map, KERAS, &err), &err);
    assert_md_ok(md_convert_load_bytes(&memory, map.data, map.size, "bytes",
                                       md_alloc_default(), &err),
                 &err);
    md_map_release(&map);
    assert_true(file->graph->n_nodes > 0);
    assert_int_equal(file->graph->n_nodes, memory->graph->n_nodes);
    md_model_free(file);
    md_model_free(memory);
}

static void test_convert__loads_onnx_whatever_its_name(void **state)
{
    md_model *sample = md_test_sample(), *file = NULL, *memory = NULL;
    md_error err = MD_ERROR_INIT;
    fixture f;
    md_map map;

    (void)state;
    md_temp_make(&f.dir);
    md_temp_path(f.path, &f.dir, "x.keras");
    assert_md_ok(md_onnx_save(sample, f.path, NULL, &err), &err);
    assert_md_ok(load(&file, f.path, &err), &err);
    assert_int_equal(file->graph->n_nodes, sample->graph->n_nodes);
    assert_md_ok(md_map_open(&map, f.path, &err), &err);
    assert_md_ok(md_convert_load_bytes(&memory, map.data, map.size, "bytes",
                                       md_alloc_default(), &err),
                 &err);
    assert_int_equal(memory->graph->n_nodes, sample->graph->n_nodes);
    md_map_release(&map);
    md_model_free(memory);
    md_model_free(file);
    md_model_free(sample);
    md_temp_remove(&f.dir);
}

/* The text names the file and everything that could be read, no more. */
static void test_convert__names_the_formats_it_knows(void **state)
{
    static const char known[] =
        "' is no model of a known format, expected ONNX model, "
        "Keras .keras and .h5";
    md_model *m = NULL;
    md_error err = MD_ERROR_INIT;
    fixture f;

    (void)state;
    md_temp_make(&f.dir);
    assert_md_fails(load(&m, write_file(&f, "a.onnx", "hello", 5), &err),
                    MD_UNSUPPORTED, &err, known);
    assert_non_null(strstr(err.msg, f.path));
    assert_md_fails(load(&m, write_file(&f, "empty.h5", "", 0), &err),
                    MD_UNSUPPORTED, &err, known);
    assert_md_fails(md_convert_load_bytes(&m, "hello", 5, "bytes",
                                          md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err, known);
    assert_int_equal(strncmp(err.msg, "'bytes'", 7), 0);
    assert_null(m);
    md_temp_remove(&f.dir);
}

static void test_convert__tells_files_that_hold_no_model(void **state)
{
    static float value = 2.5f;
    static const md_tensor scalar = { .dtype = MD_DTYPE_F32,
                                      .shape = { 0 },
                                      .data = &value };
    static const unsigned char hdf5[] = "\x89HDF\r\n\x1a\n";
    md_model *m = NULL;
    md_error err = MD_ERROR_INIT;
    fixture f;

    (void)state;
    md_temp_make(&f.dir);
    md_temp_path(f.path, &f.dir, "x.onnx");
    assert_md_ok(md_npy_save(&scalar, f.path, &err), &err);
    assert_md_fails(load(&m, f.path, &err), MD_UNSUPPORTED, &err,
                    "(NumPy array) holds no model");
    assert_md_fails(load(&m, md_temp_path(f.path, &f.dir, "none"), &err),
                    MD_NOT_FOUND, &err, "none'");
    assert_md_fails(load(&m, f.dir.path, &err), MD_NOT_FOUND, &err,
                    "holds no model, expected one with saved_model.pb");
    assert_int_not_equal(load(&m, write_file(&f, "x.h5", hdf5, 8), &err),
                         MD_OK);
    assert_non_null(strstr(err.msg, f.path));
    assert_null(m);
    md_temp_remove(&f.dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert__loads_what_a_converter_takes),
        cmocka_unit_test(test_convert__loads_onnx_whatever_its_name),
        cmocka_unit_test(test_convert__names_the_formats_it_knows),
        cmocka_unit_test(test_convert__tells_files_that_hold_no_model),
    };

    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
