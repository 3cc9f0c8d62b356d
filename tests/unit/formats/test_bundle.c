/* Checkpoints: one that TensorFlow wrote, and what is broken about it. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/bundle.h"
#include "support/temp.h"

#define FOLDER MD_TEST_DIR "/golden/tensorflow/checkpoint"

typedef struct fixture {
    md_arena ar;
    md_model *model;
    md_bundle b;
    md_map index, data;
    md_error err;
} fixture;

static void open_fixture(fixture *f)
{
    *f = (fixture){ .err = MD_ERROR_INIT };
    md_arena_init(&f->ar, md_alloc_default(), 0);
    assert_md_ok(md_model_new(&f->model, md_alloc_default(), 0, &f->err),
                 &f->err);
    assert_md_ok(md_map_open(&f->index, FOLDER "/model.index", &f->err),
                 &f->err);
    assert_md_ok(
        md_map_open(&f->data, FOLDER "/model.data-00000-of-00001", &f->err),
        &f->err);
}

static void close_fixture(fixture *f)
{
    md_map_release(&f->index);
    md_map_release(&f->data);
    md_model_free(f->model);
    md_arena_release(&f->ar);
}

static void test_bundle__reads_what_tensorflow_wrote(void **state)
{
    md_tf_tensor t;
    fixture f;

    (void)state;
    open_fixture(&f);
    assert_md_ok(md_bundle_open(&f.b, FOLDER, "model", f.model, &f.ar, &f.err),
                 &f.err);
    assert_true(md_bundle_has(&f.b, "old"));
    assert_false(md_bundle_has(&f.b, ""));
    assert_md_ok(md_bundle_get(&t, &f.b, "old", &f.err), &f.err);
    assert_int_equal(t.dtype, MD_DTYPE_F32);
    assert_int_equal(t.shape.rank, 2);
    assert_int_equal(t.shape.dim[0], 3);
    assert_int_equal(t.shape.dim[1], 4);
    assert_int_equal(t.size, 48);
    assert_md_fails(md_bundle_get(&t, &f.b, "none", &f.err), MD_NOT_FOUND,
                    &f.err, "no tensor 'none'");
    assert_md_fails(
        md_bundle_open(&f.b, FOLDER, "../model", f.model, &f.ar, &f.err),
        MD_DENIED, &f.err, "");
    close_fixture(&f);
}

/* Whatever byte of the index is another, a checksum tells, or the reader finds
 * what it means; nothing is read outside. */
static void test_bundle__any_byte_of_the_index(void **state)
{
    unsigned found = 0;
    fixture f;

    (void)state;
    open_fixture(&f);
    for (size_t i = 0; i < f.index.size; i++) {
        unsigned char *copy = malloc(f.index.size);
        md_bundle b = { .folder = NULL, .prefix = "x" };
        md_tf_tensor t;
        md_arena ar;
        md_status s;

        assert_non_null(copy);
        if (!copy)
            return;
        memcpy(copy, f.index.data, f.index.size);
        copy[i] ^= 0x41;
        md_arena_init(&ar, md_alloc_default(), (size_t)16 << 20);
        s = md_bundle_read(&b, copy, f.index.size, &ar, NULL);
        found += s != MD_OK;
        if (s == MD_OK) {
            b.shards[0] = f.data;
            (void)md_bundle_get(&t, &b, "old", NULL);
        }
        md_arena_release(&ar);
        free(copy);
    }
    /* Restarts and the padding of the footer are not read. */
    assert_true(found > f.index.size / 2);
    close_fixture(&f);
}

static void test_bundle__cut_short(void **state)
{
    fixture f;

    (void)state;
    open_fixture(&f);
    for (size_t n = 0; n < f.index.size; n++) {
        md_bundle b = { .folder = NULL, .prefix = "x" };

        assert_int_equal(md_bundle_read(&b, f.index.data, n, &f.ar, NULL),
                         MD_CORRUPT);
    }
    close_fixture(&f);
}

/* Data that is another than the index tells of. */
static void test_bundle__data_that_does_not_fit(void **state)
{
    unsigned char *copy;
    md_tf_tensor t;
    fixture f;

    (void)state;
    open_fixture(&f);
    f.b = (md_bundle){ .folder = NULL, .prefix = "x" };
    assert_md_ok(
        md_bundle_read(&f.b, f.index.data, f.index.size, &f.ar, &f.err),
        &f.err);
    assert_md_fails(md_bundle_get(&t, &f.b, "old", &f.err), MD_DENIED, &f.err,
                    "there is no folder");
    f.b.shards[0] = (md_map){ .data = f.data.data, .size = 20 };
    assert_md_fails(md_bundle_get(&t, &f.b, "old", &f.err), MD_CORRUPT, &f.err,
                    "of a file of 20 bytes");
    copy = malloc(f.data.size);
    assert_non_null(copy);
    if (!copy)
        return;
    memcpy(copy, f.data.data, f.data.size);
    copy[f.data.size - 1] ^= 1;
    copy[0] ^= 1;
    f.b.shards[0] = (md_map){ .data = copy, .size = f.data.size };
    assert_md_fails(md_bundle_get(&t, &f.b, "old", &f.err), MD_CORRUPT, &f.err,
                    "checksum");
    free(copy);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundle__reads_what_tensorflow_wrote),
        cmocka_unit_test(test_bundle__any_byte_of_the_index),
        cmocka_unit_test(test_bundle__cut_short),
        cmocka_unit_test(test_bundle__data_that_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
