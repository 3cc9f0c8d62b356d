#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "formats/pb.h"
#include "formats/tensor_pb.h"
#include "support/temp.h"

enum {
    FLOATS = 4,
    INT32S = 5,
    STRINGS = 6,
    INT64S = 7,
    RAW = 9,
    DOUBLES = 10,
    UINT64S = 11
};

/* One TensorProto of shape [n]; data is written by the caller. */
static void begin(md_pb_writer *w, md_dtype dtype, int64_t n)
{
    md_pb_writer_init(w, md_alloc_default(), 1 << 20);
    md_pb_put_ints(w, 1, &n, 1);
    md_pb_put_int(w, 2, dtype);
}

static md_status parse(md_tensor *t, md_pb_writer *w, md_error *err)
{
    md_status s;

    assert_md_ok(md_pb_writer_finish(w, NULL, err), err);
    s = md_tensor_pb_parse(t, w->buf.data, w->buf.size, md_alloc_default(),
                           err);
    md_pb_writer_release(w);
    return s;
}

static void test_tensor_pb__integer_lists_of_every_type(void **state)
{
    static const struct {
        md_dtype dtype;
        uint32_t field;
        int64_t listed[4];
        size_t n_listed;
        int64_t n;
        double want[4];
    } cases[] = {
        { MD_DTYPE_I32, INT32S, { -5, 7 }, 2, 2, { -5, 7 } },
        { MD_DTYPE_I16, INT32S, { -5, 7 }, 2, 2, { -5, 7 } },
        { MD_DTYPE_I8, INT32S, { -128, 127 }, 2, 2, { -128, 127 } },
        { MD_DTYPE_U16, INT32S, { 65535, 7 }, 2, 2, { 65535, 7 } },
        { MD_DTYPE_U8, INT32S, { 255, 7 }, 2, 2, { 255, 7 } },
        { MD_DTYPE_BOOL, INT32S, { 1, 0, 256 }, 3, 3, { 1, 0, 1 } },
        { MD_DTYPE_F16, INT32S, { 0x3c00, 0xc000 }, 2, 2, { 1, -2 } },
        { MD_DTYPE_BF16, INT32S, { 0x3f80, 0xc000 }, 2, 2, { 1, -2 } },
        { MD_DTYPE_F8E4M3FN, INT32S, { 0x38, 0xb8 }, 2, 2, { 1, -1 } },
        { MD_DTYPE_F8E5M2, INT32S, { 0x3c, 0xbc }, 2, 2, { 1, -1 } },
        { MD_DTYPE_U4, INT32S, { 0x21, 0x3 }, 2, 3, { 1, 2, 3 } },
        { MD_DTYPE_I4, INT32S, { 0x2f, 0x8 }, 2, 3, { -1, 2, -8 } },
        { MD_DTYPE_U2, INT32S, { 0x1b }, 1, 4, { 3, 2, 1, 0 } },
        { MD_DTYPE_I2, INT32S, { 0x1b }, 1, 4, { -1, -2, 1, 0 } },
        { MD_DTYPE_I64, INT64S, { INT64_MIN, 7 }, 2, 2, { -0x1p63, 7 } },
        { MD_DTYPE_U64, UINT64S, { -1, 7 }, 2, 2, { 0x1p64, 7 } },
        { MD_DTYPE_U32, UINT64S, { 4294967295, 7 }, 2, 2, { 4294967295, 7 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t = MD_TENSOR_INIT;
        md_pb_writer w;

        begin(&w, cases[i].dtype, cases[i].n);
        md_pb_put_ints(&w, cases[i].field, cases[i].listed, cases[i].n_listed);
        assert_md_ok(parse(&t, &w, &err), &err);
        assert_int_equal(t.dtype, cases[i].dtype);
        assert_int_equal(t.shape.dim[0], cases[i].n);
        for (int64_t k = 0; k < cases[i].n; k++)
            assert_true(md_tensor_get_f64(&t, k) == cases[i].want[k]);
        md_tensor_release(&t);
    }
}

static void test_tensor_pb__a_list_may_come_in_pieces(void **state)
{
    static const float floats[] = { 1.0f, 2.0f };
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    md_pb_writer w;

    (void)state;
    begin(&w, MD_DTYPE_F32, 3);
    md_pb_put_floats(&w, FLOATS, floats, 2);
    md_pb_put_float(&w, FLOATS, 3.0f);
    assert_md_ok(parse(&t, &w, &err), &err);
    assert_true(((float *)t.data)[2] == 3.0f);
    md_tensor_release(&t);
    begin(&w, MD_DTYPE_C64, 1);
    md_pb_put_floats(&w, FLOATS, floats, 2);
    assert_md_ok(parse(&t, &w, &err), &err);
    assert_true(((float *)t.data)[1] == 2.0f);
    md_tensor_release(&t);
}

static void test_tensor_pb__doubles_are_eight_bytes_each(void **state)
{
    static const double doubles[] = { 1.5, -2.5 };
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    md_pb_writer w;

    (void)state;
    begin(&w, MD_DTYPE_F64, 2);
    md_pb_put_bytes(&w, DOUBLES, doubles, sizeof(doubles));
    assert_md_ok(parse(&t, &w, &err), &err);
    assert_memory_equal(t.data, doubles, sizeof(doubles));
    md_tensor_release(&t);
    begin(&w, MD_DTYPE_C128, 1);
    md_pb_put_bytes(&w, DOUBLES, doubles, sizeof(doubles));
    assert_md_ok(parse(&t, &w, &err), &err);
    assert_memory_equal(t.data, doubles, sizeof(doubles));
    md_tensor_release(&t);
}

static void test_tensor_pb__refuses_lists_of_the_wrong_length(void **state)
{
    static const int64_t ints[] = { 1, 2, 3 };
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    md_pb_writer w;

    (void)state;
    begin(&w, MD_DTYPE_I64, 2);
    md_pb_put_ints(&w, INT64S, ints, 3);
    assert_md_fails(parse(&t, &w, &err), MD_CORRUPT, &err,
                    "3 int64_data given, 2 expected for int64 [2]");
    begin(&w, MD_DTYPE_I64, 2);
    md_pb_put_ints(&w, INT32S, ints, 2);
    assert_md_fails(parse(&t, &w, &err), MD_CORRUPT, &err,
                    "0 int64_data given");
    begin(&w, MD_DTYPE_F32, 2);
    md_pb_put_bytes(&w, FLOATS, "12345", 5);
    assert_md_fails(parse(&t, &w, &err), MD_CORRUPT, &err,
                    "1 float_data given");
    begin(&w, MD_DTYPE_F32, 1);
    md_pb_put_bytes(&w, FLOATS, "12345", 5);
    assert_md_fails(parse(&t, &w, &err), MD_CORRUPT, &err, "1 of 4 bytes");
    begin(&w, MD_DTYPE_F32, INT64_MAX / 4);
    assert_md_fails(parse(&t, &w, &err), MD_TOO_LARGE, &err, "2^64 bits");
}

static void test_tensor_pb__segments_and_files_are_refused(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    md_pb_writer w;
    md_pb_mark entry;

    (void)state;
    begin(&w, MD_DTYPE_F32, 1);
    md_pb_put_bytes(&w, 3, "", 0);
    assert_md_fails(parse(&t, &w, &err), MD_UNSUPPORTED, &err, "segments");
    begin(&w, MD_DTYPE_F32, 1);
    md_pb_put_int(&w, 14, 1);
    entry = md_pb_begin(&w, 13);
    md_pb_put_text(&w, 1, "location");
    md_pb_put_text(&w, 2, "/etc/passwd");
    md_pb_end(&w, entry);
    assert_md_fails(parse(&t, &w, &err), MD_DENIED, &err, "has no folder");
}

static void test_tensor_pb__what_is_written_reads_back(void **state)
{
    static const md_str words[] = { { "", 0 }, { "a\0b", 3 } };
    static uint8_t bytes[64];
    md_temp dir;

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37);
    md_temp_make(&dir);
    for (int dtype = 1; dtype < MD_DTYPE_N; dtype++) {
        md_error err = MD_ERROR_INIT;
        char path[MD_TEMP_SIZE * 2];
        md_tensor got = MD_TENSOR_INIT;
        md_tensor t = { .dtype = (md_dtype)dtype,
                        .shape = { 2, { 1, 2 } },
                        .data = bytes };

        if (dtype == MD_DTYPE_STRING)
            t.data = (void *)words;
        md_temp_path(path, &dir, "t.pb");
        assert_md_ok(md_tensor_pb_save(&t, "name", path, &err), &err);
        assert_md_ok(md_tensor_pb_load(&got, path, md_alloc_default(), &err),
                     &err);
        assert_int_equal(got.dtype, dtype);
        assert_true(md_shape_equal(&got.shape, &t.shape));
        if (dtype == MD_DTYPE_STRING)
            assert_memory_equal(((md_str *)got.data)[1].p, "a\0b", 3);
        else
            assert_memory_equal(got.data, bytes, md_tensor_size(&t));
        md_tensor_release(&got);
    }
    md_temp_remove(&dir);
}

static void test_tensor_pb__scalars_and_empty_tensors(void **state)
{
    static float one = 1.0f;
    md_tensor scalar = { .dtype = MD_DTYPE_F32, .shape = { 0 }, .data = &one };
    md_tensor empty = { .dtype = MD_DTYPE_F32, .shape = { 2, { 0, 3 } } };
    md_error err = MD_ERROR_INIT;
    md_tensor got;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), 1 << 10);
    assert_md_ok(md_tensor_pb_write(&scalar, "", &out, &err), &err);
    assert_md_ok(
        md_tensor_pb_parse(&got, out.data, out.size, md_alloc_default(), &err),
        &err);
    assert_int_equal(got.shape.rank, 0);
    assert_true(*(float *)got.data == 1.0f);
    md_tensor_release(&got);
    md_buf_reset(&out);
    assert_md_ok(md_tensor_pb_write(&empty, "", &out, &err), &err);
    assert_md_ok(
        md_tensor_pb_parse(&got, out.data, out.size, md_alloc_default(), &err),
        &err);
    assert_true(md_shape_equal(&got.shape, &empty.shape));
    assert_null(got.data);
    md_buf_release(&out);
}

static void test_tensor_pb__load_names_the_file(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_tensor t;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "bad.pb", "\x08", 1);
    assert_md_fails(md_tensor_pb_load(&t, md_temp_path(path, &dir, "bad.pb"),
                                      md_alloc_default(), &err),
                    MD_CORRUPT, &err, "bad.pb': tensor ''");
    assert_md_fails(md_tensor_pb_load(&t, md_temp_path(path, &dir, "no.pb"),
                                      md_alloc_default(), &err),
                    MD_NOT_FOUND, &err, "no.pb");
    md_temp_remove(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor_pb__integer_lists_of_every_type),
        cmocka_unit_test(test_tensor_pb__a_list_may_come_in_pieces),
        cmocka_unit_test(test_tensor_pb__doubles_are_eight_bytes_each),
        cmocka_unit_test(test_tensor_pb__refuses_lists_of_the_wrong_length),
        cmocka_unit_test(test_tensor_pb__segments_and_files_are_refused),
        cmocka_unit_test(test_tensor_pb__what_is_written_reads_back),
        cmocka_unit_test(test_tensor_pb__scalars_and_empty_tensors),
        cmocka_unit_test(test_tensor_pb__load_names_the_file),
    };

    return cmocka_run_group_tests_name("tensor_pb", tests, NULL, NULL);
}
