/* Sequences, optionals and maps in files. */
#include "support/test.h"

#include <string.h>

#include "base/size.h"
#include "formats/pb.h"
#include "formats/value_pb.h"
#include "support/fail_alloc.h"
#include "tensor/compare.h"

static const md_type strings = { .kind = MD_KIND_SEQUENCE,
                                 .dtype = MD_DTYPE_STRING };
static const md_type maps = { .kind = MD_KIND_SEQUENCE,
                              .of = MD_KIND_MAP,
                              .key = MD_DTYPE_STRING,
                              .dtype = MD_DTYPE_F32 };
static const md_type optional = { .kind = MD_KIND_OPTIONAL,
                                  .of = MD_KIND_SEQUENCE,
                                  .dtype = MD_DTYPE_STRING };
static const md_type numbers = { .kind = MD_KIND_MAP,
                                 .key = MD_DTYPE_I64,
                                 .dtype = MD_DTYPE_STRING };

static md_str words[] = { { "zero", 4 }, { "", 0 }, { "two", 3 } };
static int64_t keys_i64[] = { -3, INT64_MAX, 0 };
static float values_f32[] = { 0.5F, -1, 3 };

static md_tensor vector(md_dtype dtype, void *data, int64_t n)
{
    return (md_tensor){ .dtype = dtype, .shape = { 1, { n } }, .data = data };
}

static md_tensor container_of(const md_type *t, int64_t n)
{
    const md_tensor like = {
        .kind = t->kind, .of = t->of, .key = t->key, .dtype = t->dtype
    };
    md_tensor c;

    assert_md_ok(md_container_alloc(&c, &like, n, md_alloc_default(), NULL),
                 &(md_error)MD_ERROR_INIT);
    return c;
}

static void put(md_tensor *c, int64_t i, const md_tensor *t)
{
    assert_int_equal(md_container_put(c, i, t, NULL), MD_OK);
}

static md_tensor map_of(md_tensor keys, md_tensor values)
{
    md_tensor k, v, map;

    assert_int_equal(md_tensor_copy(&k, &keys, md_alloc_default(), NULL),
                     MD_OK);
    assert_int_equal(md_tensor_copy(&v, &values, md_alloc_default(), NULL),
                     MD_OK);
    assert_int_equal(md_container_map(&map, &k, &v, md_alloc_default(), NULL),
                     MD_OK);
    return map;
}

/* Written and read again it is the same, also after every allocation that can
 * fail; releases v. */
static void check_round_trip(md_tensor v, const md_type *type)
{
    md_error err = MD_ERROR_INIT;
    bool failed = true;
    md_buf b;

    md_buf_init(&b, md_alloc_default(), 1 << 20);
    assert_md_ok(md_value_pb_write(&v, "v", &b, &err), &err);
    for (int64_t n = 0; failed; n++) {
        md_tensor got = MD_TENSOR_INIT;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        s = md_value_pb_parse(&got, type, b.data, b.size, &fa.alloc, &err);
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
        if (s == MD_OK)
            assert_md_ok(md_tensor_compare(NULL, &got, &v, 0, 0, &err), &err);
        md_tensor_release(&got);
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
    md_buf_release(&b);
    md_tensor_release(&v);
}

static void test_value_pb__round_trips(void **state)
{
    md_tensor three = vector(MD_DTYPE_STRING, words, 3);
    md_tensor none = vector(MD_DTYPE_STRING, NULL, 0);
    md_tensor c, inner;

    (void)state;
    check_round_trip(container_of(&strings, 0), &strings);
    c = container_of(&strings, 2);
    put(&c, 0, &three);
    put(&c, 1, &none);
    inner = container_of(&optional, 1);
    put(&inner, 0, &c);
    check_round_trip(c, &strings);
    check_round_trip(inner, &optional);
    check_round_trip(container_of(&optional, 0), &optional);
    check_round_trip(map_of(vector(MD_DTYPE_I64, keys_i64, 3), three),
                     &numbers);
    c = container_of(&maps, 2);
    for (int i = 0; i < 2; i++) {
        inner = map_of(vector(MD_DTYPE_STRING, words, i ? 3 : 0),
                       vector(MD_DTYPE_F32, values_f32, i ? 3 : 0));
        put(&c, i, &inner);
        md_tensor_release(&inner);
    }
    check_round_trip(c, &maps);
}

static void check_refused(md_pb_writer *w, const md_type *type,
                          md_status status, const char *text)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t;

    assert_md_ok(md_pb_writer_finish(w, NULL, &err), &err);
    assert_md_fails(md_value_pb_parse(&t, type, w->buf.data, w->buf.size,
                                      md_alloc_default(), &err),
                    status, &err, text);
    md_pb_writer_release(w);
}

static void put_scalar(md_pb_writer *w, uint32_t number, md_dtype dtype)
{
    md_pb_mark mark = md_pb_begin(w, number);

    md_pb_put_int(w, 2, dtype);
    md_pb_put_bytes(w, 9, "\0\0\0\0\0\0\0", md_dtype_bits(dtype) / 8);
    md_pb_end(w, mark);
}

static void test_value_pb__refusals(void **state)
{
    const md_type floats = { .kind = MD_KIND_SEQUENCE, .dtype = MD_DTYPE_F32 };
    const md_type one = { .kind = MD_KIND_OPTIONAL, .dtype = MD_DTYPE_F32 };
    int64_t two = 2;
    md_pb_writer w;
    md_pb_mark mark;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 1000);
    put_scalar(&w, 3, MD_DTYPE_F32);
    put_scalar(&w, 3, MD_DTYPE_I32);
    check_refused(&w, &floats, MD_CORRUPT,
                  "sequence, item 1: item 1 is int32, float32 expected");

    md_pb_writer_init(&w, md_alloc_default(), 1000);
    md_pb_put_bytes(&w, 5, "", 0);
    check_refused(&w, &floats, MD_CORRUPT, "items that are no tensors");

    md_pb_writer_init(&w, md_alloc_default(), 1000);
    put_scalar(&w, 3, MD_DTYPE_F32);
    put_scalar(&w, 3, MD_DTYPE_F32);
    check_refused(&w, &one, MD_CORRUPT, "optional of 2 values");

    md_pb_writer_init(&w, md_alloc_default(), 1000);
    md_pb_put_int(&w, 2, MD_DTYPE_F32);
    check_refused(&w, &numbers, MD_CORRUPT, "keys of type 1");

    md_pb_writer_init(&w, md_alloc_default(), 1000);
    md_pb_put_int(&w, 2, MD_DTYPE_I64);
    md_pb_put_ints(&w, 3, &two, 1);
    check_refused(&w, &numbers, MD_CORRUPT, "map of 1 keys to 0 values");

    md_pb_writer_init(&w, md_alloc_default(), 1000);
    md_pb_put_int(&w, 2, MD_DTYPE_I64);
    md_pb_put_ints(&w, 3, &two, 1);
    mark = md_pb_begin(&w, 5);
    {
        md_pb_mark t = md_pb_begin(&w, 3);

        md_pb_put_ints(&w, 1, &two, 1);
        md_pb_put_int(&w, 2, MD_DTYPE_U8);
        md_pb_put_bytes(&w, 9, "ab", 2);
        md_pb_end(&w, t);
    }
    md_pb_end(&w, mark);
    check_refused(&w, &numbers, MD_UNSUPPORTED, "tensors of 2 elements");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_pb__round_trips),
        cmocka_unit_test(test_value_pb__refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
