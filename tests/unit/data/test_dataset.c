/* Data sets: archives and folders, and everything that does not fit. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/subset.h"
#include "formats/npy.h"
#include "formats/npz.h"
#include "support/build.h"
#include "support/fail_alloc.h"
#include "support/temp.h"

/* A net of n inputs "a", "b", ... of float32 [batch, 2]. */
static md_model *net_of(uint32_t n)
{
    const int64_t dims[] = { -1, 2 };
    md_model *m = md_build_model(21);

    for (uint32_t i = 0; i < n; i++) {
        const char name[] = { (char)('a' + i), '\0' };
        md_value_id x = md_build_input(m, name, MD_DTYPE_F32, 2, dims);

        md_build_output(m, md_build_node(m, "Relu", 1, &x));
    }
    return m;
}

typedef struct array {
    const char *name; /* NULL: end */
    md_dtype dtype;
    int rank;
    int64_t dim[3];
} array;

/* Element i is i. */
static md_tensor make(const array *a)
{
    md_shape shape = { a->rank, { a->dim[0], a->dim[1], a->dim[2] } };
    md_error err = MD_ERROR_INIT;
    md_tensor t;

    assert_md_ok(
        md_tensor_alloc(&t, a->dtype, &shape, md_alloc_default(), &err), &err);
    for (int64_t i = 0; i < md_tensor_n(&t); i++)
        md_tensor_set_i64(&t, i, i);
    return t;
}

/* The arrays as "set.npz", or as files of the folder "set"; its path. */
static const char *write_set(char path[MD_TEMP_SIZE * 2], const md_temp *dir,
                             const array *a, bool folder)
{
    md_error err = MD_ERROR_INIT;
    const char *names[4];
    md_tensor t[4];
    uint32_t n = 0;
    md_buf bytes;

    for (; n < 4 && a[n].name; n++) {
        names[n] = a[n].name;
        t[n] = make(&a[n]);
    }
    md_temp_path(path, dir, folder ? "set" : "set.npz");
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    if (folder) {
        assert_int_equal(mkdir(path, 0700), 0);
        for (uint32_t i = 0; i < n; i++) {
            char file[MD_TEMP_SIZE * 3];

            snprintf(file, sizeof(file), "%s/%s.npy", path, names[i]);
            assert_md_ok(md_npy_save(&t[i], file, &err), &err);
        }
    } else {
        assert_md_ok(md_npz_write(names, t, n, &bytes, &err), &err);
        md_temp_write(dir, "set.npz", bytes.data, bytes.size);
    }
    md_buf_release(&bytes);
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&t[i]);
    return path;
}

static md_status open_set(md_dataset *out, const md_model *m, const array *a,
                          bool folder, md_error *err)
{
    char path[MD_TEMP_SIZE * 2];
    md_temp dir;
    md_status s;

    md_temp_make(&dir);
    write_set(path, &dir, a, folder);
    s = md_dataset_open(out, path, m, NULL, err);
    md_temp_remove(&dir);
    return s;
}

static void test_dataset__archives_and_folders_give_the_same(void **state)
{
    static const array set[] = { { "b", MD_DTYPE_F32, 2, { 3, 2 } },
                                 { "a", MD_DTYPE_F64, 2, { 3, 2 } },
                                 { "y", MD_DTYPE_U8, 2, { 3, 1 } },
                                 { NULL, MD_DTYPE_NONE, 0, { 0 } } };
    md_model *m = net_of(2);

    (void)state;
    for (int folder = 0; folder < 2; folder++) {
        md_error err = MD_ERROR_INIT;
        md_shape two = { 2, { 2, 2 } };
        md_dataset d;
        md_tensor t;

        assert_md_ok(open_set(&d, m, set, folder, &err), &err);
        assert_int_equal(d.n, 3);
        assert_int_equal(d.inputs[0].dtype, MD_DTYPE_F32);
        for (int64_t i = 0; i < 3; i++)
            assert_int_equal(((const int64_t *)d.labels.data)[i], i);
        assert_int_equal(md_dataset_shape(&d, 0, 2).dim[0], 2);
        assert_md_ok(md_tensor_alloc(&t, MD_DTYPE_F32, &two, d.alloc, &err),
                     &err);
        /* Samples 1 and 2, as they are and from double. */
        for (uint32_t i = 0; i < 2; i++) {
            assert_md_ok(md_dataset_read(&d, i, NULL, 1, 2, &t, NULL, &err),
                         &err);
            assert_true(md_tensor_get_f64(&t, 0) == 2);
            assert_true(md_tensor_get_f64(&t, 3) == 5);
        }
        md_tensor_release(&t);
        md_dataset_release(&d);
    }
    md_model_free(m);
}

static void test_dataset__x_stands_for_the_only_input(void **state)
{
    static const array set[] = { { "x", MD_DTYPE_F32, 2, { 4, 2 } },
                                 { NULL, MD_DTYPE_NONE, 0, { 0 } } };
    md_error err = MD_ERROR_INIT;
    md_model *m = net_of(1);
    md_dataset d;

    (void)state;
    assert_md_ok(open_set(&d, m, set, false, &err), &err);
    assert_int_equal(d.n, 4);
    assert_null(d.labels.data);
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_dataset__pixels_are_scaled(void **state)
{
    static const array set[] = { { "a", MD_DTYPE_U8, 2, { 3, 2 } },
                                 { NULL, MD_DTYPE_NONE, 0, { 0 } } };
    static const struct {
        const char *meta;
        float scale;
    } cases[] = { { NULL, 1.0f / 255.0f },
                  { "0.5", 0.5f },
                  { "-1", 1.0f / 255.0f },
                  { "wide", 1.0f / 255.0f } };
    md_model *m = net_of(1);

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_shape one = { 2, { 1, 2 } };
        md_error err = MD_ERROR_INIT;
        md_dataset d;
        md_tensor t;

        if (cases[i].meta)
            assert_md_ok(
                md_model_set_meta(m, "modeld.input.scale", cases[i].meta, &err),
                &err);
        assert_md_ok(open_set(&d, m, set, false, &err), &err);
        assert_md_ok(md_tensor_alloc(&t, MD_DTYPE_F32, &one, d.alloc, &err),
                     &err);
        assert_md_ok(md_dataset_read(&d, 0, NULL, 2, 1, &t, NULL, &err), &err);
        assert_true(((float *)t.data)[1] == 5.0f * cases[i].scale);
        md_tensor_release(&t);
        md_dataset_release(&d);
    }
    md_model_free(m);
}

static void test_dataset__what_does_not_fit_is_named(void **state)
{
#define A2                                                                     \
    {                                                                          \
        "a", MD_DTYPE_F32, 2,                                                  \
        {                                                                      \
            3, 2                                                               \
        }                                                                      \
    }
#define B2                                                                     \
    {                                                                          \
        "b", MD_DTYPE_F32, 2,                                                  \
        {                                                                      \
            3, 2                                                               \
        }                                                                      \
    }
    static const struct {
        uint32_t n_inputs;
        array set[4];
        const char *text;
    } cases[] = {
        { 1, { { "z", MD_DTYPE_F32, 2, { 3, 2 } } }, "no array 'a' or 'x'" },
        { 2, { A2 }, "no array 'b'" },
        { 2, { { "x", MD_DTYPE_F32, 2, { 3, 2 } } }, "no array 'a'" },
        { 1,
          { { "a", MD_DTYPE_F32, 2, { 3, 5 } } },
          "data for 'a': [3,5] given, float32[batch,2] expected" },
        { 1,
          { { "a", MD_DTYPE_F32, 1, { 3 } } },
          "data for 'a': [3] given, float32[batch,2] expected" },
        { 2,
          { A2, { "b", MD_DTYPE_F32, 2, { 4, 2 } } },
          "data for 'b': 4 samples given, 3 expected" },
        { 1, { { "a", MD_DTYPE_F32, 2, { 0, 2 } } }, "no samples" },
        { 1,
          { A2, { "y", MD_DTYPE_I32, 1, { 2 } } },
          "labels 'y': 2 of int32 given, 3 integers" },
        { 2,
          { A2, B2, { "y", MD_DTYPE_F32, 1, { 4 } } },
          "labels 'y': 4 of float32 given" },
        { 2,
          { A2, B2, { "y", MD_DTYPE_BOOL, 1, { 3 } } },
          "labels 'y': 3 of bool given" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *m = net_of(cases[i].n_inputs);

        for (int folder = 0; folder < 2; folder++) {
            md_error err = MD_ERROR_INIT;
            md_dataset d;

            assert_md_fails(open_set(&d, m, cases[i].set, folder, &err),
                            MD_INVALID, &err, cases[i].text);
        }
        md_model_free(m);
    }
#undef A2
#undef B2
}

static void test_dataset__types_that_do_not_convert_are_refused(void **state)
{
    static const array set[] = { { "a", MD_DTYPE_I32, 2, { 3, 2 } },
                                 { NULL, MD_DTYPE_NONE, 0, { 0 } } };
    md_error err = MD_ERROR_INIT;
    md_model *m = net_of(1);
    md_dataset d;

    (void)state;
    assert_md_fails(open_set(&d, m, set, false, &err), MD_INVALID, &err,
                    "data for 'a': int32 given, float32 expected");
    md_model_free(m);
}

static void test_dataset__damaged_files_say_so(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *m = net_of(1);
    md_dataset d;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "a.npy", "\x93NUMPY\1\0\xff\xff", 10);
    assert_md_fails(md_dataset_open(&d, dir.path, m, NULL, &err), MD_CORRUPT,
                    &err, "npy header of 65535 bytes in a file of 10");
    md_temp_write(&dir, "set.npz", "PK", 2);
    assert_md_fails(
        md_dataset_open(&d, md_temp_path(path, &dir, "set.npz"), m, NULL, &err),
        MD_CORRUPT, &err, "not a zip archive");
    assert_md_fails(
        md_dataset_open(&d, md_temp_path(path, &dir, "none"), m, NULL, &err),
        MD_NOT_FOUND, &err, "none");
    md_temp_remove(&dir);
    md_model_free(m);
}

/* Every allocation fails once: a status, nothing left behind. */
static void test_dataset__out_of_memory(void **state)
{
    static const array set[] = { { "a", MD_DTYPE_F32, 2, { 3, 2 } },
                                 { "y", MD_DTYPE_I64, 1, { 3 } },
                                 { NULL, MD_DTYPE_NONE, 0, { 0 } } };
    char path[MD_TEMP_SIZE * 2];
    md_model *m = net_of(1);
    md_status s = MD_NOMEM;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    write_set(path, &dir, set, false);
    for (int64_t n = 0; s != MD_OK; n++) {
        md_error err = MD_ERROR_INIT;
        md_dataset d;
        fail_alloc f;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_dataset_open(&d, path, m, &(md_data_opts){ .alloc = &f.alloc },
                            &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        if (s == MD_OK)
            md_dataset_release(&d);
        assert_int_equal(f.n_live, 0);
    }
    md_temp_remove(&dir);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dataset__archives_and_folders_give_the_same),
        cmocka_unit_test(test_dataset__x_stands_for_the_only_input),
        cmocka_unit_test(test_dataset__pixels_are_scaled),
        cmocka_unit_test(test_dataset__what_does_not_fit_is_named),
        cmocka_unit_test(test_dataset__types_that_do_not_convert_are_refused),
        cmocka_unit_test(test_dataset__damaged_files_say_so),
        cmocka_unit_test(test_dataset__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
