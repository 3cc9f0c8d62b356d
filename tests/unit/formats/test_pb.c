#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "formats/pb.h"

/* Cursor over the bytes of a string literal. */
#define PB(text) md_pb_init((text), sizeof(text) - 1)

static md_status first(md_pb_field *f, md_pb r, md_error *err)
{
    return md_pb_next(f, &r, err);
}

static void test_pb__reads_each_wire_type(void **state)
{
    md_pb r = PB("\x08\x96\x01"
                 "\x11\x01\x02\x03\x04\x05\x06\x07\x08"
                 "\x1a\x02hi"
                 "\x25\x00\x00\x80\x3f");
    md_error err = MD_ERROR_INIT;
    md_pb_field f;
    int64_t i;
    float x;

    (void)state;
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_int_equal(f.number, 1);
    assert_md_ok(md_pb_int(&i, &f, &err), &err);
    assert_int_equal(i, 150);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_int_equal(f.number, 2);
    assert_true(f.value == 0x0807060504030201ull);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_true(md_pb_text_equal(&f, "hi"));
    assert_false(md_pb_text_equal(&f, "hit"));
    assert_int_equal(f.bytes.depth, 1);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_md_ok(md_pb_float(&x, &f, &err), &err);
    assert_true(x == 1.0f);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_int_equal(f.number, 0);
}

static void test_pb__negative_numbers_have_ten_bytes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pb_field f;
    int64_t i;

    (void)state;
    assert_md_ok(
        first(&f, PB("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &err),
        &err);
    assert_md_ok(md_pb_int(&i, &f, &err), &err);
    assert_int_equal(i, -1);
}

static void test_pb__refuses_malformed_fields(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        { "\x08", 1, "ends inside a number, 0 bytes in" },
        { "\x08\x80", 2, "ends inside a number, 1 bytes in" },
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "64 bits" },
        { "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "64 bits" },
        { "\x09\x01\x02", 3, "2 of 8 bytes" },
        { "\x0d\x01", 2, "1 of 4 bytes" },
        { "\x0a\x05xy", 4, "5 bytes announced, 2 left" },
        { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "0 left" },
        { "\x0b", 1, "wire type 3" },
        { "\x0c", 1, "wire type 4" },
        { "\x0e", 1, "wire type 6" },
        { "\x0f", 1, "wire type 7" },
        { "\x00\x01", 2, "field number 0" },
        { "\x80\x80\x80\x80\x10\x01", 6, "field number 536870912" },
    };
    md_pb_field f;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(
            first(&f, md_pb_init(cases[i].bytes, cases[i].size), &err),
            MD_CORRUPT, &err, cases[i].text);
    }
}

static void test_pb__refuses_the_wrong_wire_type(void **state)
{
    md_error err = MD_ERROR_INIT;
    const char *text;
    md_arena ar;
    md_pb_field f;
    uint64_t v;
    size_t n;
    bool more;
    int64_t i;
    float x;
    md_pb m;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(first(&f, PB("\x0a\x01x"), &err), &err);
    assert_md_fails(md_pb_int(&i, &f, &err), MD_CORRUPT, &err, "an integer's");
    assert_md_fails(md_pb_float(&x, &f, &err), MD_CORRUPT, &err, "a float's");
    assert_md_ok(first(&f, PB("\x08\x01"), &err), &err);
    assert_md_fails(md_pb_message(&m, &f, &err), MD_CORRUPT, &err, "a message");
    assert_md_fails(md_pb_text(&text, &f, &ar, &err), MD_CORRUPT, &err,
                    "a string's");
    assert_md_fails(md_pb_take(&v, &more, &f, MD_PB_FIXED32, &err), MD_CORRUPT,
                    &err, "its list's");
    assert_md_fails(md_pb_count(&n, &f, MD_PB_FIXED32, &err), MD_CORRUPT, &err,
                    "its list's");
    assert_false(md_pb_text_equal(&f, ""));
    md_arena_release(&ar);
}

/* All values of a list field, as text. */
static md_status take_all(char *out, size_t size, md_pb_field *f,
                          md_pb_wire wire, md_error *err)
{
    uint64_t v;
    size_t at = 0;
    size_t n;
    size_t taken = 0;
    bool more;

    MD_TRY(md_pb_count(&n, f, wire, err));
    for (;;) {
        MD_TRY(md_pb_take(&v, &more, f, wire, err));
        if (!more)
            break;
        taken++;
        at += (size_t)snprintf(out + at, size - at, "%llu ",
                               (unsigned long long)v);
    }
    assert_int_equal(taken, n);
    return MD_OK;
}

static void test_pb__lists_are_packed_or_not(void **state)
{
    md_error err = MD_ERROR_INIT;
    char text[100] = "";
    md_pb_field f;

    (void)state;
    assert_md_ok(first(&f, PB("\x0a\x04\x01\x80\x01\x03"), &err), &err);
    assert_md_ok(take_all(text, sizeof(text), &f, MD_PB_VARINT, &err), &err);
    assert_string_equal(text, "1 128 3 ");
    assert_md_ok(first(&f, PB("\x08\x07"), &err), &err);
    assert_md_ok(take_all(text, sizeof(text), &f, MD_PB_VARINT, &err), &err);
    assert_string_equal(text, "7 ");
    assert_md_ok(
        first(&f, PB("\x0a\x08\x01\x00\x00\x00\x02\x00\x00\x00"), &err), &err);
    assert_md_ok(take_all(text, sizeof(text), &f, MD_PB_FIXED32, &err), &err);
    assert_string_equal(text, "1 2 ");
    assert_md_ok(first(&f, PB("\x0a\x05\x01\x00\x00\x00\x02"), &err), &err);
    assert_md_fails(take_all(text, sizeof(text), &f, MD_PB_FIXED32, &err),
                    MD_CORRUPT, &err, "1 of 4 bytes");
    assert_md_ok(first(&f, PB("\x0a\x02\x01\x80"), &err), &err);
    assert_md_fails(take_all(text, sizeof(text), &f, MD_PB_VARINT, &err),
                    MD_CORRUPT, &err, "ends inside");
}

static void test_pb__nesting_has_a_limit(void **state)
{
    md_pb_writer w;
    md_error err = MD_ERROR_INIT;
    md_pb_mark marks[MD_PB_DEPTH_MAX + 1];
    md_status s = MD_OK;
    unsigned depth = 0;
    md_pb r;
    md_pb_field f;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    for (size_t i = 0; i < MD_COUNT(marks); i++)
        marks[i] = md_pb_begin(&w, 1);
    for (size_t i = MD_COUNT(marks); i-- > 0;)
        md_pb_end(&w, marks[i]);
    assert_md_ok(md_pb_writer_finish(&w, NULL, &err), &err);
    r = md_pb_init(w.buf.data, w.buf.size);
    for (; s == MD_OK; depth++) {
        assert_md_ok(md_pb_next(&f, &r, &err), &err);
        s = md_pb_message(&r, &f, &err);
    }
    assert_md_fails(s, MD_CORRUPT, &err, "deeper than 100");
    assert_int_equal(depth, MD_PB_DEPTH_MAX + 1);
    md_pb_writer_release(&w);
}

static void test_pb__text_must_be_utf8(void **state)
{
    static const char *const good[] = { "",
                                        "plain",
                                        "\xc3\xa9",
                                        "\xe4\xb8\xad\xe6\x96\x87",
                                        "\xf0\x9f\x98\x80",
                                        "\xef\xbf\xbf" };
    static const char *const bad[] = {
        "\x80",         "a\xff",        "\xc0\xaf", "\xc3",
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe4\xb8", "\xf4\x90\x80\x80",
        "\xf8\x88\x80", "\xe4\xb8\x2d",
    };
    md_error err = MD_ERROR_INIT;
    const char *text;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (size_t i = 0; i < MD_COUNT(good); i++) {
        md_pb_field f = { .number = 3,
                          .wire = MD_PB_LEN,
                          .bytes = md_pb_init(good[i], strlen(good[i])) };

        assert_md_ok(md_pb_text(&text, &f, &ar, &err), &err);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_pb_field f = { .number = 3,
                          .wire = MD_PB_LEN,
                          .bytes = md_pb_init(bad[i], strlen(bad[i])) };

        assert_md_fails(md_pb_text(&text, &f, &ar, &err), MD_CORRUPT, &err,
                        "field 3: byte 0x");
    }
    assert_md_fails(md_pb_text(&text,
                               &(md_pb_field){ .wire = MD_PB_LEN,
                                               .bytes = md_pb_init("a\0b", 3) },
                               &ar, &err),
                    MD_CORRUPT, &err, "byte 0x00 at 1");
    md_arena_release(&ar);
}

static md_status collect(void *ctx, const void *data, size_t size,
                         md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

static void test_pb__written_messages_read_back(void **state)
{
    static char big[10000];
    md_error err = MD_ERROR_INIT;
    md_pb_writer w;
    md_pb_mark outer;
    md_pb_mark inner;
    md_buf all;
    md_pb r;
    md_pb m;
    md_pb_field f;
    int64_t i;
    size_t size;

    (void)state;
    memset(big, 'b', sizeof(big));
    md_buf_init(&all, md_alloc_default(), 1 << 20);
    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    outer = md_pb_begin(&w, 5);
    md_pb_put_int(&w, 1, -5);
    inner = md_pb_begin(&w, 2);
    md_pb_put_slice(&w, 9, big, sizeof(big));
    md_pb_put_slice(&w, 9, "small", 5);
    md_pb_end(&w, inner);
    md_pb_put_text(&w, 3, "behind");
    md_pb_end(&w, outer);
    assert_md_ok(md_pb_writer_finish(&w, &size, &err), &err);
    assert_int_equal(w.n_slices, 1);
    assert_md_ok(md_pb_writer_drain(&w, collect, &all, &err), &err);
    assert_int_equal(all.size, size);
    assert_true(w.buf.size < 100);

    r = md_pb_init(all.data, all.size);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_int_equal(md_pb_size(&r), 0);
    assert_md_ok(md_pb_message(&r, &f, &err), &err);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_md_ok(md_pb_int(&i, &f, &err), &err);
    assert_int_equal(i, -5);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_md_ok(md_pb_message(&m, &f, &err), &err);
    assert_md_ok(md_pb_next(&f, &m, &err), &err);
    assert_int_equal(md_pb_size(&f.bytes), sizeof(big));
    assert_memory_equal(f.bytes.p, big, sizeof(big));
    assert_md_ok(md_pb_next(&f, &m, &err), &err);
    assert_true(md_pb_text_equal(&f, "small"));
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_true(md_pb_text_equal(&f, "behind"));
    md_pb_writer_release(&w);
    md_buf_release(&all);
}

static void test_pb__written_lists_read_back(void **state)
{
    static const int64_t ints[] = { 1, -1, 300 };
    static const float floats[] = { 0.0f, 1.0f };
    md_error err = MD_ERROR_INIT;
    char text[100] = "";
    md_pb_writer w;
    md_pb_field f;
    md_pb r;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 1000);
    md_pb_put_ints(&w, 1, ints, 3);
    md_pb_put_ints(&w, 4, ints, 0);
    md_pb_put_floats(&w, 2, floats, 2);
    md_pb_put_floats(&w, 4, floats, 0);
    md_pb_put_float(&w, 3, 2.0f);
    assert_md_ok(md_pb_writer_finish(&w, NULL, &err), &err);
    r = md_pb_init(w.buf.data, w.buf.size);
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_md_ok(take_all(text, sizeof(text), &f, MD_PB_VARINT, &err), &err);
    assert_string_equal(text, "1 18446744073709551615 300 ");
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_md_ok(take_all(text, sizeof(text), &f, MD_PB_FIXED32, &err), &err);
    assert_string_equal(text, "0 1065353216 ");
    assert_md_ok(md_pb_next(&f, &r, &err), &err);
    assert_int_equal(f.number, 3);
    assert_int_equal(md_pb_size(&r), 0);
    md_pb_writer_release(&w);
}

static void test_pb__the_first_failure_of_a_writer_sticks(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pb_writer w;
    md_pb_mark mark;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 10);
    mark = md_pb_begin(&w, 1);
    md_pb_put_text(&w, 2, "longer than ten bytes");
    md_pb_put_int(&w, 3, 1);
    md_pb_end(&w, mark);
    assert_md_fails(md_pb_writer_finish(&w, NULL, &err), MD_TOO_LARGE, &err,
                    "limit 10");
    assert_md_fails(md_pb_writer_drain(&w, collect, NULL, &err), MD_TOO_LARGE,
                    &err, "limit 10");
    md_pb_writer_release(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pb__reads_each_wire_type),
        cmocka_unit_test(test_pb__negative_numbers_have_ten_bytes),
        cmocka_unit_test(test_pb__refuses_malformed_fields),
        cmocka_unit_test(test_pb__refuses_the_wrong_wire_type),
        cmocka_unit_test(test_pb__lists_are_packed_or_not),
        cmocka_unit_test(test_pb__nesting_has_a_limit),
        cmocka_unit_test(test_pb__text_must_be_utf8),
        cmocka_unit_test(test_pb__written_messages_read_back),
        cmocka_unit_test(test_pb__written_lists_read_back),
        cmocka_unit_test(test_pb__the_first_failure_of_a_writer_sticks),
    };

    return cmocka_run_group_tests_name("pb", tests, NULL, NULL);
}
