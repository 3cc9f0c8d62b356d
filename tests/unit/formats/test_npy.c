#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/npy.h"
#include "support/temp.h"

/* A version `version` file with this dictionary and data. */
static void make(md_buf *out, int version, const char *dict, const void *data,
                 size_t size)
{
    md_error err = MD_ERROR_INIT;
    size_t n = strlen(dict);
    unsigned char head[12] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

    head[6] = (unsigned char)version;
    head[8] = (unsigned char)n;
    head[9] = (unsigned char)(n >> 8);
    md_buf_init(out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_buf_append(out, head, version == 1 ? 10 : 12, &err), &err);
    assert_md_ok(md_buf_puts(out, dict, &err), &err);
    assert_md_ok(md_buf_append(out, data, size, &err), &err);
}

static md_status parse(md_tensor *t, const char *dict, const void *data,
                       size_t size, md_error *err)
{
    md_buf file;
    md_status s;

    make(&file, 1, dict, data, size);
    s = md_npy_parse(t, file.data, file.size, md_alloc_default(), err);
    md_buf_release(&file);
    return s;
}

static void test_npy__reads_every_version(void **state)
{
    static const char dict[] =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n";
    static const float want[] = { 1.5f, -2.0f };

    (void)state;
    for (int version = 1; version <= 3; version++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t;
        md_buf file;

        make(&file, version, dict, want, sizeof(want));
        assert_md_ok(
            md_npy_parse(&t, file.data, file.size, md_alloc_default(), &err),
            &err);
        assert_int_equal(t.dtype, MD_DTYPE_F32);
        assert_int_equal(t.shape.rank, 1);
        assert_memory_equal(t.data, want, sizeof(want));
        md_tensor_release(&t);
        md_buf_release(&file);
    }
}

static void test_npy__reads_every_number_type(void **state)
{
    static const struct {
        const char *descr;
        md_dtype dtype;
        const char *bytes; /* one element */
        size_t size;
        double want;
    } cases[] = {
        { "|b1", MD_DTYPE_BOOL, "\x05", 1, 1 },
        { "?", MD_DTYPE_NONE, "", 0, 0 },
        { "|i1", MD_DTYPE_I8, "\xff", 1, -1 },
        { "|u1", MD_DTYPE_U8, "\xff", 1, 255 },
        { "<i2", MD_DTYPE_I16, "\xfe\xff", 2, -2 },
        { ">i2", MD_DTYPE_I16, "\xff\xfe", 2, -2 },
        { "<u2", MD_DTYPE_U16, "\x01\x02", 2, 513 },
        { ">u2", MD_DTYPE_U16, "\x02\x01", 2, 513 },
        { "<i4", MD_DTYPE_I32, "\x01\x00\x00\x00", 4, 1 },
        { ">i4", MD_DTYPE_I32, "\x00\x00\x00\x01", 4, 1 },
        { "=u4", MD_DTYPE_U32, "\x01\x00\x00\x00", 4, 1 },
        { "<i8", MD_DTYPE_I64, "\x01\x00\x00\x00\x00\x00\x00\x00", 8, 1 },
        { ">u8", MD_DTYPE_U64, "\x00\x00\x00\x00\x00\x00\x00\x01", 8, 1 },
        { "<f2", MD_DTYPE_F16, "\x00\xc0", 2, -2 },
        { ">f4", MD_DTYPE_F32, "\xc0\x00\x00\x00", 4, -2 },
        { ">f8", MD_DTYPE_F64, "\xc0\x00\x00\x00\x00\x00\x00\x00", 8, -2 },
        { ">c8", MD_DTYPE_C64, "\xc0\x00\x00\x00\x3f\x80\x00\x00", 8, -2 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t = MD_TENSOR_INIT;
        char dict[128];
        md_status s;

        snprintf(dict, sizeof(dict),
                 "{'descr': '%s', 'fortran_order': False, 'shape': ()}",
                 cases[i].descr);
        s = parse(&t, dict, cases[i].bytes, cases[i].size, &err);
        if (cases[i].dtype == MD_DTYPE_NONE) {
            assert_md_fails(s, MD_CORRUPT, &err, "a type is expected");
            continue;
        }
        assert_md_ok(s, &err);
        assert_int_equal(t.dtype, cases[i].dtype);
        assert_int_equal(t.shape.rank, 0);
        assert_true(md_tensor_get_f64(&t, 0) == cases[i].want);
        md_tensor_release(&t);
    }
}

static void test_npy__complex_numbers_are_swapped_by_half(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t;

    (void)state;
    assert_md_ok(parse(&t,
                       "{'descr': '>c8', 'fortran_order': False, 'shape': ()}",
                       "\xc0\x00\x00\x00\x3f\x80\x00\x00", 8, &err),
                 &err);
    assert_true(((float *)t.data)[0] == -2.0f);
    assert_true(((float *)t.data)[1] == 1.0f);
    md_tensor_release(&t);
}

static void test_npy__fortran_order_is_turned_round(void **state)
{
    static const uint8_t columns[] = { 0, 3, 1, 4, 2, 5 };
    md_error err = MD_ERROR_INIT;
    md_tensor t;

    (void)state;
    assert_md_ok(parse(&t, "{'descr':'|u1','fortran_order':True,'shape':(2,3)}",
                       columns, 6, &err),
                 &err);
    for (int64_t i = 0; i < 6; i++)
        assert_int_equal(md_tensor_get_i64(&t, i), i);
    md_tensor_release(&t);
    assert_md_ok(parse(&t, "{'descr':'|S1','fortran_order':True,'shape':(2,3)}",
                       "adbecf", 6, &err),
                 &err);
    for (int i = 0; i < 6; i++)
        assert_int_equal(((md_str *)t.data)[i].p[0], 'a' + i);
    md_tensor_release(&t);
}

static void test_npy__strings_lose_their_padding(void **state)
{
    md_error err = MD_ERROR_INIT;
    const md_str *s;
    md_tensor t;

    (void)state;
    assert_md_ok(parse(&t, "{'descr':'|S3','fortran_order':False,'shape':(3,)}",
                       "ab\0\0\0\0\0x\0", 9, &err),
                 &err);
    s = t.data;
    assert_int_equal(t.dtype, MD_DTYPE_STRING);
    assert_int_equal(s[0].n, 2);
    assert_int_equal(s[1].n, 0);
    assert_int_equal(s[2].n, 2);
    assert_memory_equal(s[2].p, "\0x", 2);
    md_tensor_release(&t);
    assert_md_ok(parse(&t, "{'descr':'<U2','fortran_order':False,'shape':(2,)}",
                       "\xe9\0\0\0\0\0\0\0\x2d\x4e\0\0\0\xf6\x01\0", 16, &err),
                 &err);
    s = t.data;
    assert_int_equal(s[0].n, 2);
    assert_memory_equal(s[0].p, "\xc3\xa9", 2);
    assert_int_equal(s[1].n, 7);
    assert_memory_equal(s[1].p, "\xe4\xb8\xad\xf0\x9f\x98\x80", 7);
    md_tensor_release(&t);
    assert_md_ok(parse(&t, "{'descr':'>U1','fortran_order':False,'shape':()}",
                       "\0\0\0\xe9", 4, &err),
                 &err);
    assert_memory_equal(((md_str *)t.data)->p, "\xc3\xa9", 2);
    md_tensor_release(&t);
}

/* Spellings of one header by the versions of Python and by hand. */
static void test_npy__headers_as_python_writes_them(void **state)
{
    static const char *const dicts[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }      \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 1L), }\n",
        "{'shape':(1,),'fortran_order':True,'descr':'<f4'}",
        "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":( 1 , 1 ,)}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': ()}\n",
        "{'descr': '|f4', 'fortran_order': False, 'shape': ()}\n",
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(dicts); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t;

        assert_md_ok(parse(&t, dicts[i], "\0\0\200\77", 4, &err), &err);
        assert_int_equal(t.dtype, MD_DTYPE_F32);
        assert_true(*(const float *)t.data == 1.0f);
        md_tensor_release(&t);
    }
}

static void test_npy__refuses_bad_headers(void **state)
{
    static const struct {
        const char *dict;
        md_status status;
        const char *text;
    } cases[] = {
        { "", MD_CORRUPT, "'{' is expected" },
        { "{", MD_CORRUPT, "a string is expected" },
        { "{}", MD_CORRUPT, "lacks descr" },
        { "{'descr':'<f4','shape':()}", MD_CORRUPT, "lacks descr" },
        { "{'descr':'<f4','fortran_order':False,'shape':()} x", MD_CORRUPT,
          "the end is expected" },
        { "{'descr':'<f4','fortran_order':0,'shape':()}", MD_CORRUPT,
          "True or False" },
        { "{'descr':'<f4' 'fortran_order':False,'shape':()}", MD_CORRUPT,
          "',' or '}'" },
        { "{'descr' '<f4','fortran_order':False,'shape':()}", MD_CORRUPT,
          "':' is expected" },
        { "{'descr':'<f4','descr':'<f4','shape':()}", MD_CORRUPT,
          "'descr' where another key" },
        { "{'descr':__import__('os'),'shape':()}", MD_CORRUPT, "a string" },
        { "{'d\\x65scr':'<f4'}", MD_CORRUPT, "the end of a string" },
        { "{'other':1}", MD_CORRUPT, "descr, fortran_order or shape" },
        { "{'descr':'<f4", MD_CORRUPT, "the end of a string" },
        { "{'descr':'f'}", MD_CORRUPT, "a type is expected" },
        { "{'descr':'|O'}", MD_UNSUPPORTED, "'|O' is not a number" },
        { "{'descr':'<f3'}", MD_UNSUPPORTED, "'<f3' is not" },
        { "{'descr':'<f16'}", MD_UNSUPPORTED, "'<f16' is not" },
        { "{'descr':'<M8[ns]'}", MD_UNSUPPORTED, "'<M8[ns]' is not" },
        { "{'descr':[('a','<f4')]}", MD_UNSUPPORTED, "records" },
        { "{'descr':'|S9999999999'}", MD_TOO_LARGE, "larger than" },
        { "{'shape':(-1,)}", MD_CORRUPT, "a number is expected" },
        { "{'shape':(1", MD_CORRUPT, "',' or ')'" },
        { "{'shape':(,)}", MD_CORRUPT, "a number is expected" },
        { "{'shape':(L,)}", MD_CORRUPT, "a number is expected" },
        { "{'shape':(1LL,)}", MD_CORRUPT, "',' or ')'" },
        { "{'shape':3}", MD_CORRUPT, "a shape is expected" },
        { "{'shape':(1,1,1,1,1,1,1,1,1)}", MD_UNSUPPORTED, "rank larger" },
        { "{'shape':(99999999999999999999,)}", MD_TOO_LARGE, "larger than" },
        { "{'descr':'<f4','fortran_order':False,'shape':(2,)}", MD_CORRUPT,
          "4 bytes given, 2 elements of 4 expected for float32 [2]" },
        { "{'descr':'<f4','fortran_order':False,'shape':(0,)}", MD_CORRUPT,
          "4 bytes given, 0 elements" },
        { "{'descr':'<f4','fortran_order':False,"
          "'shape':(4294967296,4294967296)}",
          MD_TOO_LARGE, "more elements than 2^63" },
        { "{'descr':'<f8','fortran_order':False,"
          "'shape':(4611686018427387904,)}",
          MD_CORRUPT, "4 bytes given" },
        { "{'descr':'|S0','fortran_order':False,"
          "'shape':(4611686018427387904,)}",
          MD_CORRUPT, "of no bytes" },
        { "{'descr':'<U1','fortran_order':False,'shape':()}", MD_CORRUPT,
          "0xffffffff, which is no character" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t;

        assert_md_fails(parse(&t, cases[i].dict, "\xff\xff\xff\xff", 4, &err),
                        cases[i].status, &err, cases[i].text);
    }
}

static void test_npy__refuses_what_is_no_npy_file(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        { "", 0, "magic missing" },
        { "\x93NUMPX\x01\x00\x00\x00", 10, "magic missing" },
        { "\x93NUMPY\x04\x00\x00\x00", 10, "version 4.0 given" },
        { "\x93NUMPY\x01\x01\x00\x00", 10, "version 1.1 given" },
        { "\x93NUMPY\x01\x00\x05\x00{}", 12, "header of 5 bytes" },
        { "\x93NUMPY\x02\x00\x00\x00", 10, "header of 0 bytes" },
        { "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, "header of 4294967295" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t;
        md_status s = md_npy_parse(&t, cases[i].bytes, cases[i].size,
                                   md_alloc_default(), &err);

        assert_true(s == MD_CORRUPT || s == MD_UNSUPPORTED);
        assert_non_null(strstr(err.msg, cases[i].text));
    }
}

static void test_npy__every_truncation_is_refused(void **state)
{
    static const float data[] = { 1, 2, 3, 4 };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 2, 2 } },
                    .data = (void *)data };
    md_error err = MD_ERROR_INIT;
    md_buf file;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 1 << 10);
    assert_md_ok(md_npy_write(&t, &file, &err), &err);
    for (size_t n = 0; n < file.size; n++) {
        unsigned char *cut = test_malloc(n ? n : 1);
        md_tensor got;

        memcpy(cut, file.data, n);
        assert_md_fails(md_npy_parse(&got, cut, n, md_alloc_default(), &err),
                        MD_CORRUPT, &err, "");
        test_free(cut);
    }
    md_buf_release(&file);
}

static void test_npy__what_is_written_reads_back(void **state)
{
    static const struct {
        md_dtype dtype, as;
        size_t size;
        const char *bytes; /* of three elements in the file */
    } odd[] = {
        { MD_DTYPE_BF16, MD_DTYPE_U16, 6, "\x12\x34\x56\x78\x9a\xbc" },
        { MD_DTYPE_U4, MD_DTYPE_U8, 3, "\x02\x01\x04" },
        { MD_DTYPE_I4, MD_DTYPE_U8, 3, "\x02\x01\x04" },
        { MD_DTYPE_F4E2M1, MD_DTYPE_U8, 3, "\x02\x01\x04" },
        { MD_DTYPE_U2, MD_DTYPE_U8, 3, "\x02\x00\x01" },
        { MD_DTYPE_I2, MD_DTYPE_U8, 3, "\x02\x00\x01" },
    };
    static uint8_t bytes[48] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc };

    (void)state;
    for (int dtype = 1; dtype < MD_DTYPE_N; dtype++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t = { .dtype = (md_dtype)dtype,
                        .shape = { 1, { 3 } },
                        .data = bytes };
        size_t size = md_tensor_size(&t);
        const void *want = bytes;
        md_dtype as = t.dtype;
        md_tensor got;
        md_buf file;

        if (dtype == MD_DTYPE_STRING || dtype == MD_DTYPE_BOOL)
            continue;
        for (size_t i = 0; i < MD_COUNT(odd); i++) {
            if (odd[i].dtype == t.dtype) {
                as = odd[i].as;
                want = odd[i].bytes;
                size = odd[i].size;
            }
        }
        md_buf_init(&file, md_alloc_default(), 1 << 10);
        assert_md_ok(md_npy_write(&t, &file, &err), &err);
        assert_md_ok(
            md_npy_parse(&got, file.data, file.size, md_alloc_default(), &err),
            &err);
        if (md_dtype_bits(t.dtype) == 8 && md_dtype_is_float(t.dtype))
            as = MD_DTYPE_U8;
        assert_int_equal(got.dtype, as);
        assert_int_equal(md_tensor_size(&got), size);
        assert_memory_equal(got.data, want, size);
        md_tensor_release(&got);
        md_buf_release(&file);
    }
}

static void test_npy__strings_are_written_as_characters(void **state)
{
    static const md_str words[] = { { "", 0 },
                                    { "\xc3\xa9t\xc3\xa9", 5 },
                                    { "\xf0\x9f\x98\x80", 4 } };
    static const md_str bad[] = { { "\xff", 1 } };
    md_tensor t = { .dtype = MD_DTYPE_STRING,
                    .shape = { 1, { 3 } },
                    .data = (void *)words };
    md_error err = MD_ERROR_INIT;
    md_tensor got;
    md_buf file;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 1 << 10);
    assert_md_ok(md_npy_write(&t, &file, &err), &err);
    assert_non_null(strstr((char *)file.data + 10, "'<U3'"));
    assert_md_ok(
        md_npy_parse(&got, file.data, file.size, md_alloc_default(), &err),
        &err);
    for (int i = 0; i < 3; i++) {
        const md_str *s = (const md_str *)got.data + i;

        assert_int_equal(s->n, words[i].n);
        assert_memory_equal(s->p, words[i].p, words[i].n);
    }
    md_tensor_release(&got);
    t = (md_tensor){ .dtype = MD_DTYPE_STRING,
                     .shape = { 1, { 1 } },
                     .data = (void *)bad };
    assert_md_fails(md_npy_write(&t, &file, &err), MD_UNSUPPORTED, &err,
                    "string 0 is not UTF-8");
    md_buf_release(&file);
}

static void test_npy__numpy_reads_what_is_written(void **state)
{
    static const float data[] = { 1, 2, 3, 4, 5, 6 };
    static const char check[] =
        "python3 -c 'import sys, numpy as np\n"
        "a = np.load(sys.argv[1])\n"
        "assert a.dtype == np.float32 and a.shape == (2, 3), a\n"
        "assert (a.ravel() == np.arange(1, 7)).all(), a\n"
        "np.save(sys.argv[2], np.asfortranarray(a.astype(\">f8\")))' '%s' '%s'";
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 2, 3 } },
                    .data = (void *)data };
    char from[MD_TEMP_SIZE * 2];
    char to[MD_TEMP_SIZE * 2];
    char command[MD_TEMP_SIZE * 6];
    md_error err = MD_ERROR_INIT;
    md_tensor got;
    md_temp dir;

    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null") != 0) {
        print_message("skipped: python3 has no numpy\n");
        skip();
    }
    md_temp_make(&dir);
    md_temp_path(from, &dir, "a.npy");
    md_temp_path(to, &dir, "b.npy");
    assert_md_ok(md_npy_save(&t, from, &err), &err);
    snprintf(command, sizeof(command), check, from, to);
    assert_int_equal(system(command), 0);
    assert_md_ok(md_npy_load(&got, to, md_alloc_default(), &err), &err);
    assert_int_equal(got.dtype, MD_DTYPE_F64);
    for (int i = 0; i < 6; i++)
        assert_true(md_tensor_get_f64(&got, i) == i + 1);
    md_tensor_release(&got);
    md_temp_remove(&dir);
}

static void test_npy__load_names_the_file(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_temp dir;
    md_tensor t;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "bad.npy", "x", 1);
    assert_md_fails(md_npy_load(&t, md_temp_path(path, &dir, "bad.npy"),
                                md_alloc_default(), &err),
                    MD_CORRUPT, &err, "bad.npy': not an npy file");
    assert_md_fails(md_npy_load(&t, md_temp_path(path, &dir, "no.npy"),
                                md_alloc_default(), &err),
                    MD_NOT_FOUND, &err, "no.npy");
    md_temp_remove(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy__reads_every_version),
        cmocka_unit_test(test_npy__reads_every_number_type),
        cmocka_unit_test(test_npy__complex_numbers_are_swapped_by_half),
        cmocka_unit_test(test_npy__fortran_order_is_turned_round),
        cmocka_unit_test(test_npy__strings_lose_their_padding),
        cmocka_unit_test(test_npy__headers_as_python_writes_them),
        cmocka_unit_test(test_npy__refuses_bad_headers),
        cmocka_unit_test(test_npy__refuses_what_is_no_npy_file),
        cmocka_unit_test(test_npy__every_truncation_is_refused),
        cmocka_unit_test(test_npy__what_is_written_reads_back),
        cmocka_unit_test(test_npy__strings_are_written_as_characters),
        cmocka_unit_test(test_npy__numpy_reads_what_is_written),
        cmocka_unit_test(test_npy__load_names_the_file),
    };

    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
