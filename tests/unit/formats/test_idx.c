/* IDX arrays, packed and not, and what is none. */
#include "support/test.h"

#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "formats/format.h"
#include "formats/gzip.h"
#include "formats/idx.h"
#include "support/fail_alloc.h"
#include "support/temp.h"

/* [2, 3] of each type: 1, 2, ..., 6, big-endian. */
static const struct {
    unsigned char bytes[60];
    size_t size;
    md_dtype dtype;
} files
    [] = {
        { { 0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6 },
          18,
          MD_DTYPE_U8 },
        { { 0, 0, 9, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6 },
          18,
          MD_DTYPE_I8 },
        { { 0, 0, 11, 2, 0, 0, 0, 2, 0, 0, 0, 3,
            0, 1, 0,  2, 0, 3, 0, 4, 0, 5, 0, 6 },
          24,
          MD_DTYPE_I16 },
        { { 0, 0, 12, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0,
            0, 2, 0,  0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6 },
          36,
          MD_DTYPE_I32 },
        { { 0,    0,    13, 2, 0,    0,    0, 2, 0,    0,    0, 3,
            0x3f, 0x80, 0,  0, 0x40, 0,    0, 0, 0x40, 0x40, 0, 0,
            0x40, 0x80, 0,  0, 0x40, 0xa0, 0, 0, 0x40, 0xc0, 0, 0 },
          36,
          MD_DTYPE_F32 },
        { { 0, 0, 14, 2, 0,    0,    0, 2, 0, 0, 0, 3, 0x3f, 0xf0, 0, 0,
            0, 0, 0,  0, 0x40, 0,    0, 0, 0, 0, 0, 0, 0x40, 0x08, 0, 0,
            0, 0, 0,  0, 0x40, 0x10, 0, 0, 0, 0, 0, 0, 0x40, 0x14, 0, 0,
            0, 0, 0,  0, 0x40, 0x18, 0, 0, 0, 0, 0, 0 },
          60,
          MD_DTYPE_F64 },
    };

static void check(const md_tensor *t, md_dtype dtype)
{
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->shape.rank, 2);
    assert_int_equal(t->shape.dim[0], 2);
    assert_int_equal(t->shape.dim[1], 3);
    for (int64_t i = 0; i < 6; i++)
        assert_true(md_tensor_get_f64(t, i) == (double)i + 1);
}

static void test_idx__every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(files); i++) {
        const void *p = files[i].bytes;
        md_error err = MD_ERROR_INIT;
        md_tensor t;

        assert_true(md_idx_probe(p, files[i].size));
        assert_md_ok(
            md_idx_parse(&t, p, files[i].size, md_alloc_default(), &err), &err);
        check(&t, files[i].dtype);
        md_tensor_release(&t);
        assert_md_ok(
            md_idx_view(&t, p, files[i].size, md_alloc_default(), &err), &err);
        check(&t, files[i].dtype);
        /* Bytes lie in the file as in memory. */
        assert_true((t.owner == NULL) == (md_dtype_bits(t.dtype) == 8));
        md_tensor_release(&t);
    }
}

static void test_idx__what_is_none_says_so(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        { "", 0, "not an IDX file" },
        { "\0\0\x8", 3, "not an IDX file" },
        { "\0\1\x8\1\0\0\0\0", 8, "not an IDX file" },
        { "\0\0\xa\1\0\0\0\0", 8, "not an IDX file" },
        { "\0\0\x8\0", 4, "not an IDX file" },
        { "\0\0\x8\x9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
          "\0\0\0\0\0\0\0\0",
          40, "not an IDX file" },
        { "\0\0\x8\2\0\0\0\1\0\0", 10, "not an IDX file" },
        { "\0\0\x8\1\0\0\0\2x", 9, "IDX data of 1 bytes given, 2 elements" },
        { "\0\0\x8\1\0\0\0\1xy", 10, "IDX data of 2 bytes given, 1 elements" },
        { "\0\0\xd\1\0\0\0\1xyz", 11, "of 4 expected for float32 [1]" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor t;

        assert_md_fails(md_idx_parse(&t, cases[i].bytes, cases[i].size,
                                     md_alloc_default(), &err),
                        MD_CORRUPT, &err, cases[i].text);
    }
    {
        static const char many[] = "\0\0\xe\4\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff";
        md_error err = MD_ERROR_INIT;
        md_tensor t;

        assert_int_equal(
            md_idx_parse(&t, many, sizeof(many) - 1, md_alloc_default(), &err),
            MD_TOO_LARGE);
    }
}

/* n bytes by gzip; returns the size. */
static size_t pack(unsigned char *to, size_t room, const void *from, size_t n)
{
    z_stream zs = { .zalloc = NULL };
    size_t size;

    assert_int_equal(
        deflateInit2(&zs, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    zs.next_in = (unsigned char *)(uintptr_t)from;
    zs.avail_in = (unsigned)n;
    zs.next_out = to;
    zs.avail_out = (unsigned)room;
    assert_int_equal(deflate(&zs, Z_FINISH), Z_STREAM_END);
    size = room - zs.avail_out;
    deflateEnd(&zs);
    return size;
}

static void test_idx__packed_files(void **state)
{
    unsigned char packed[200];
    size_t size = pack(packed, sizeof(packed), files[3].bytes, files[3].size);
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    const md_format *format;
    md_temp dir;
    md_tensor t;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "a.gz", packed, size);
    md_temp_write(&dir, "b", files[3].bytes, files[3].size);
    md_temp_path(path, &dir, "a.gz");
    assert_md_ok(md_idx_load(&t, path, md_alloc_default(), &err), &err);
    check(&t, MD_DTYPE_I32);
    md_tensor_release(&t);
    md_temp_path(path, &dir, "b");
    assert_md_ok(md_format_detect(&format, path, &err), &err);
    assert_string_equal(format->name, "idx");
    md_temp_write(&dir, "a.gz", packed, size - 1);
    md_temp_path(path, &dir, "a.gz");
    assert_md_fails(md_idx_load(&t, path, md_alloc_default(), &err), MD_CORRUPT,
                    &err, "gzip data is damaged or cut short");
    md_temp_remove(&dir);
}

static void test_gzip__members_join_and_limits_hold(void **state)
{
    static unsigned char zeros[100000];
    unsigned char packed[600];
    size_t one = pack(packed, sizeof(packed), zeros, sizeof(zeros));
    size_t two = one + pack(packed + one, sizeof(packed) - one, "end", 3);
    md_error err = MD_ERROR_INIT;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), sizeof(zeros) + 3);
    assert_md_ok(md_gzip_read(&b, packed, two, &err), &err);
    assert_int_equal(b.size, sizeof(zeros) + 3);
    assert_memory_equal(b.data + sizeof(zeros), "end", 3);
    md_buf_release(&b);
    md_buf_init(&b, md_alloc_default(), sizeof(zeros) + 2);
    assert_md_fails(md_gzip_read(&b, packed, two, &err), MD_TOO_LARGE, &err,
                    "gzip data unpacks to more than 100002 bytes");
    md_buf_release(&b);
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    packed[two - 5] ^= 1; /* the checksum */
    assert_md_fails(md_gzip_read(&b, packed, two, &err), MD_CORRUPT, &err,
                    "damaged");
    md_buf_release(&b);
    assert_md_fails(md_gzip_read(&b, "\x1f\x8b\x8\0", 4, &err), MD_CORRUPT,
                    &err, "cut short");
    md_buf_release(&b);
    assert_false(md_gzip_probe("\x1f\x8b", 2));
    assert_true(md_gzip_probe(packed, two));
}

static void test_gzip__out_of_memory(void **state)
{
    static unsigned char zeros[1000];
    unsigned char packed[200];
    size_t size = pack(packed, sizeof(packed), zeros, sizeof(zeros));
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc f;
        md_buf b;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        md_buf_init(&b, &f.alloc, 1 << 20);
        s = md_gzip_read(&b, packed, size, &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        md_buf_release(&b);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx__every_type),
        cmocka_unit_test(test_idx__what_is_none_says_so),
        cmocka_unit_test(test_idx__packed_files),
        cmocka_unit_test(test_gzip__members_join_and_limits_hold),
        cmocka_unit_test(test_gzip__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
