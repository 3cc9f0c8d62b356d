#include "support/test.h"

#include <string.h>

#include "base/file.h"
#include "formats/tflite.h"

#define FOLDER MD_TEST_DIR "/golden/tflite/"

static void open_sample(md_map *map, const char *path)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_map_open(map, path, &err), &err);
}

static md_status read_bytes(const void *bytes, size_t size, md_error *err)
{
    md_tflite m;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, md_alloc_default(), (size_t)64 << 20);
    s = md_tflite_read(&m, bytes, size, &ar, err);
    md_arena_release(&ar);
    return s;
}

static void test_tflite__reads_a_file(void **state)
{
    md_error err = MD_ERROR_INIT;
    const md_tflite_graph *g;
    md_tflite m;
    md_arena ar;
    md_map map;

    (void)state;
    open_sample(&map, FOLDER "flatten_int8.tflite");
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_tflite_read(&m, map.data, map.size, &ar, &err), &err);
    assert_int_equal(m.n_graphs, 1);
    g = &m.graphs[0];
    assert_int_equal(g->n_inputs, 1);
    assert_int_equal(g->tensors[g->inputs[0]].dtype, MD_DTYPE_I8);
    assert_int_equal(g->tensors[g->inputs[0]].rank, 4);
    assert_true(g->tensors[g->inputs[0]].dim[0] == -1);
    assert_int_equal(g->tensors[g->inputs[0]].scale.n, 1);
    assert_int_equal(g->ops[0].code, 3); /* CONV_2D */
    assert_int_equal(g->ops[0].n_in, 3);
    assert_non_null(g->tensors[g->ops[0].in[1]].data);
    assert_int_equal(g->tensors[g->ops[0].in[1]].scale.n, 4);
    md_arena_release(&ar);
    md_map_release(&map);
}

/* Cut anywhere: a status, and no read behind the end. */
static void test_tflite__cut_short(void **state)
{
    md_map map;

    (void)state;
    open_sample(&map, FOLDER "flatten_int8.tflite");
    for (size_t n = 0; n < map.size; n += n < 64 ? 1 : 37) {
        unsigned char *part = md_malloc(md_alloc_default(), n + 1);

        memcpy(part, map.data, n);
        assert_int_not_equal(read_bytes(part, n, NULL), MD_OK);
        md_free(md_alloc_default(), part);
    }
    md_map_release(&map);
}

/* Each byte turned over: whatever comes out, nothing outside is read. */
static void test_tflite__any_byte(void **state)
{
    size_t n_refused = 0;
    unsigned char *copy;
    md_map map;

    (void)state;
    open_sample(&map, FOLDER "flatten_int8.tflite");
    copy = md_malloc(md_alloc_default(), map.size);
    memcpy(copy, map.data, map.size);
    for (size_t i = 0; i < map.size; i++) {
        copy[i] = (unsigned char)~copy[i];
        n_refused += read_bytes(copy, map.size, NULL) != MD_OK;
        copy[i] = (unsigned char)~copy[i];
    }
    assert_true(n_refused > 100);
    md_free(md_alloc_default(), copy);
    md_map_release(&map);
}

static void test_tflite__out_of_memory(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tflite m;
    md_arena ar;
    md_map map;

    (void)state;
    open_sample(&map, FOLDER "flatten_int8.tflite");
    md_arena_init(&ar, md_alloc_default(), 1 << 10);
    assert_int_equal(md_tflite_read(&m, map.data, map.size, &ar, &err),
                     MD_NOMEM);
    md_arena_release(&ar);
    md_map_release(&map);
}

static void test_tflite__probes(void **state)
{
    (void)state;
    assert_true(md_tflite_probe("\x1c\0\0\0TFL3", 8));
    assert_false(md_tflite_probe("\x1c\0\0\0TFL3", 7));
    assert_false(md_tflite_probe("\x1c\0\0\0TFL2", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tflite__reads_a_file),
        cmocka_unit_test(test_tflite__cut_short),
        cmocka_unit_test(test_tflite__any_byte),
        cmocka_unit_test(test_tflite__out_of_memory),
        cmocka_unit_test(test_tflite__probes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
