#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npz.h"
#include "support/temp.h"

static const float values[] = { 1, 2, 3, 4 };

/* Two arrays, x float32 [2,2] and a string. */
static void make(md_buf *out)
{
    static const md_str word = { "hi", 2 };
    const md_tensor tensors[] = {
        { .dtype = MD_DTYPE_F32,
          .shape = { 2, { 2, 2 } },
          .data = (void *)values },
        { .dtype = MD_DTYPE_STRING, .shape = { 0 }, .data = (void *)&word },
    };
    static const char *const names[] = { "x", "label" };
    md_error err = MD_ERROR_INIT;

    md_buf_init(out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_npz_write(names, tensors, 2, out, &err), &err);
}

static void test_npz__what_is_written_reads_back(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_tensor t;
    md_buf file;

    (void)state;
    make(&file);
    assert_md_ok(
        md_npz_parse(&npz, file.data, file.size, 0, md_alloc_default(), &err),
        &err);
    assert_int_equal(md_npz_count(npz), 2);
    assert_string_equal(md_npz_name(npz, 0), "x");
    assert_int_equal(md_npz_find(npz, "label"), 1);
    assert_int_equal(md_npz_find(npz, "y"), -1);
    assert_md_ok(md_npz_read(&t, npz, 0, &err), &err);
    assert_memory_equal(t.data, values, sizeof(values));
    md_tensor_release(&t);
    assert_md_ok(md_npz_read(&t, npz, 1, &err), &err);
    assert_int_equal(((md_str *)t.data)->n, 2);
    md_tensor_release(&t);
    md_npz_free(npz);
    md_buf_release(&file);
}

static void test_npz__numpy_and_modeld_read_each_other(void **state)
{
    static const char check[] =
        "python3 -c 'import sys, numpy as np\n"
        "z = np.load(sys.argv[1])\n"
        "assert (z[\"x\"].ravel() == [1, 2, 3, 4]).all()\n"
        "assert z[\"label\"] == \"hi\"\n"
        "np.savez(sys.argv[2] + \"1\", x=z[\"x\"])\n"
        "np.savez_compressed(sys.argv[2] + \"2\", a=0, x=z[\"x\"])' '%s' '%s'";
    char from[MD_TEMP_SIZE * 2];
    char to[MD_TEMP_SIZE * 2];
    char command[MD_TEMP_SIZE * 6];
    md_error err = MD_ERROR_INIT;
    md_temp dir;
    md_buf file;

    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null") != 0) {
        print_message("skipped: python3 has no numpy\n");
        skip();
    }
    make(&file);
    md_temp_make(&dir);
    md_temp_write(&dir, "a.npz", file.data, file.size);
    snprintf(command, sizeof(command), check, md_temp_path(from, &dir, "a.npz"),
             md_temp_path(to, &dir, "b"));
    assert_int_equal(system(command), 0);
    for (int i = 1; i <= 2; i++) {
        md_npz *npz = NULL;
        md_tensor t;

        md_temp_path(to, &dir, i == 1 ? "b1.npz" : "b2.npz");
        assert_md_ok(md_npz_open(&npz, to, 0, md_alloc_default(), &err), &err);
        assert_int_equal(md_npz_find(npz, "x"), i - 1);
        assert_md_ok(md_npz_read(&t, npz, (uint32_t)i - 1, &err), &err);
        assert_memory_equal(t.data, values, sizeof(values));
        md_tensor_release(&t);
        md_npz_free(npz);
    }
    md_temp_remove(&dir);
    md_buf_release(&file);
}

/* Archives that were appended to hold old arrays, too. */
static void test_npz__the_last_of_a_name_counts(void **state)
{
    const md_tensor t = { .dtype = MD_DTYPE_F32,
                          .shape = { 1, { 4 } },
                          .data = (void *)values };
    const md_tensor tensors[] = { t, t, t };
    static const char *const names[] = { "x", "y", "x" };
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_buf file;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 1 << 20);
    assert_md_ok(md_npz_write(names, tensors, 3, &file, &err), &err);
    assert_md_ok(
        md_npz_parse(&npz, file.data, file.size, 0, md_alloc_default(), &err),
        &err);
    assert_int_equal(md_npz_find(npz, "x"), 2);
    assert_int_equal(md_npz_find(npz, "y"), 1);
    md_npz_free(npz);
    md_buf_release(&file);
}

static void test_npz__every_truncation_is_refused(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_buf file;

    (void)state;
    make(&file);
    for (size_t n = 0; n < file.size; n++) {
        unsigned char *cut = test_malloc(n ? n : 1);

        memcpy(cut, file.data, n);
        assert_md_fails(md_npz_parse(&npz, cut, n, 0, md_alloc_default(), &err),
                        MD_CORRUPT, &err, "not a zip archive");
        test_free(cut);
    }
    md_buf_release(&file);
}

/* Read everything in an archive with one byte changed; never a crash. */
static void test_npz__changed_bytes_are_answered(void **state)
{
    md_error err = MD_ERROR_INIT;
    unsigned n_refused = 0;
    md_buf file;

    (void)state;
    make(&file);
    for (size_t at = 0; at < file.size; at++) {
        md_npz *npz = NULL;

        file.data[at] ^= 0x55;
        if (md_npz_parse(&npz, file.data, file.size, 1 << 20,
                         md_alloc_default(), &err) != MD_OK) {
            n_refused++;
        } else {
            for (uint32_t i = 0; i < md_npz_count(npz); i++) {
                md_tensor t;

                if (md_npz_read(&t, npz, i, &err) == MD_OK)
                    md_tensor_release(&t);
                else
                    n_refused++;
            }
            md_npz_free(npz);
        }
        file.data[at] ^= 0x55;
    }
    assert_true(n_refused > file.size / 2);
    md_buf_release(&file);
}

static void test_npz__a_broken_array_is_named(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_tensor t;
    md_buf file;

    (void)state;
    make(&file);
    file.data[30 + 5 + 100] ^= 1;
    assert_md_ok(
        md_npz_parse(&npz, file.data, file.size, 0, md_alloc_default(), &err),
        &err);
    assert_md_fails(md_npz_read(&t, npz, 0, &err), MD_CORRUPT, &err,
                    "'x.npy': checksum differs");
    md_npz_free(npz);
    md_buf_release(&file);
}

static void test_npz__open_names_the_file(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "bad.npz", "", 0);
    assert_md_fails(md_npz_open(&npz, md_temp_path(path, &dir, "bad.npz"), 0,
                                md_alloc_default(), &err),
                    MD_CORRUPT, &err, "bad.npz': not a zip archive");
    assert_md_fails(md_npz_open(&npz, md_temp_path(path, &dir, "no.npz"), 0,
                                md_alloc_default(), &err),
                    MD_NOT_FOUND, &err, "no.npz");
    assert_null(npz);
    md_npz_free(NULL);
    md_temp_remove(&dir);
}

static void test_npz__reads_the_example_s_images(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_npz *npz = NULL;
    md_tensor t;

    (void)state;
    assert_md_ok(md_npz_open(&npz,
                             MD_EXAMPLES_DIR "/fashion/seed_cnn.calib.npz", 0,
                             md_alloc_default(), &err),
                 &err);
    assert_true(md_npz_count(npz) > 0);
    for (uint32_t i = 0; i < md_npz_count(npz); i++) {
        assert_md_ok(md_npz_read(&t, npz, i, &err), &err);
        assert_true(md_tensor_n(&t) > 0);
        md_tensor_release(&t);
    }
    md_npz_free(npz);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npz__what_is_written_reads_back),
        cmocka_unit_test(test_npz__numpy_and_modeld_read_each_other),
        cmocka_unit_test(test_npz__the_last_of_a_name_counts),
        cmocka_unit_test(test_npz__every_truncation_is_refused),
        cmocka_unit_test(test_npz__changed_bytes_are_answered),
        cmocka_unit_test(test_npz__a_broken_array_is_named),
        cmocka_unit_test(test_npz__open_names_the_file),
        cmocka_unit_test(test_npz__reads_the_example_s_images),
    };

    return cmocka_run_group_tests_name("npz", tests, NULL, NULL);
}
