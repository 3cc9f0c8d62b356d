#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "formats/flatbuf.h"

/*
 * A file by hand: the root table at 24 has fields u32 (id 0), a vector of
 * int32 (1), a text (2), a table (3, itself empty), a byte (5); id 4 absent.
 */
static const unsigned char sample[] = {
    /* 0 */ 24, 0, 0, 0, 'T', 'E', 'S', 'T',
    /* 8: vtable of 16 bytes, table of 24 */
    16, 0, 24, 0, 4, 0, 8, 0, 12, 0, 16, 0, 0, 0, 20, 0,
    /* 24: table, its vtable is 16 before */
    16, 0, 0, 0, /* 28: u32 */ 7, 0, 0, 0,
    /* 32: to 48 */ 16, 0, 0, 0, /* 36: to 64 */ 28, 0, 0, 0,
    /* 40: to 72 */ 32, 0, 0, 0, /* 44: byte */ 255, 0, 0, 0,
    /* 48: vector of 3 */ 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 253, 255, 255,
    255,
    /* 64: text */ 2, 0, 0, 0, 'h', 'i', 0, 0,
    /* 72: table whose vtable is behind it, at 76 */ 252, 255, 255, 255, 4, 0,
    4, 0
};

static md_fb_table root_of(md_fb *fb, const unsigned char *bytes, size_t size)
{
    md_fb_init(fb, bytes, size, "test");
    return md_fb_root(fb, "TEST");
}

static void test_flatbuf__reads_fields(void **state)
{
    md_fb fb;
    md_fb_table t = root_of(&fb, sample, sizeof(sample));
    md_fb_vector v = md_fb_vec(&t, 1, 4);
    md_fb_table sub = md_fb_sub(&t, 3);

    (void)state;
    assert_int_equal(md_fb_u32(&t, 0, 1), 7);
    assert_int_equal(v.n, 3);
    assert_int_equal(md_fb_vec_i32(&v, 2), -3);
    assert_string_equal(md_fb_text(&t, 2), "hi");
    assert_int_equal(md_fb_i8(&t, 5, 0), -1);
    assert_non_null(sub.fb);
    assert_false(md_fb_has(&sub, 0));
    assert_int_equal(md_fb_i32(&sub, 9, -5), -5);
    assert_int_equal(md_fb_check(&fb, NULL), MD_OK);
}

static void test_flatbuf__absent_is_default(void **state)
{
    md_fb fb;
    md_fb_table t = root_of(&fb, sample, sizeof(sample));
    md_fb_table none = md_fb_sub(&t, 4);
    md_fb_vector v = md_fb_vec(&t, 40, 8);

    (void)state;
    assert_null(none.fb);
    assert_int_equal(v.n, 0);
    assert_int_equal(md_fb_i64(&none, 0, -9), -9);
    assert_true(md_fb_f32(&none, 3, 0.5f) == 0.5f);
    assert_string_equal(md_fb_text(&t, 4), "");
    assert_int_equal(md_fb_check(&fb, NULL), MD_OK);
}

/* Everything that the sample's fields lead to. */
static void read_all(md_fb *fb, md_fb_table t)
{
    md_fb_vector v = md_fb_vec(&t, 1, 4);
    md_fb_table sub = md_fb_sub(&t, 3);

    for (uint32_t i = 0; i < v.n; i++)
        (void)md_fb_vec_i32(&v, i);
    (void)strlen(md_fb_text(&t, 2));
    (void)md_fb_u64(&t, 0, 0);
    (void)md_fb_i8(&sub, 0, 0);
    (void)md_fb_check(fb, NULL);
}

/* Cut anywhere: never read behind the end (a block of its own each time). */
static void test_flatbuf__cut_short(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(sample); n++) {
        unsigned char *part = md_malloc(md_alloc_default(), n + 1);
        md_fb fb;

        memcpy(part, sample, n);
        read_all(&fb, root_of(&fb, part, n));
        assert_int_equal(fb.status, MD_CORRUPT);
        md_free(md_alloc_default(), part);
    }
}

/* Each byte as each of some values: a fault or not, but no read outside. */
static void test_flatbuf__any_byte(void **state)
{
    static const unsigned char values[] = { 0, 1, 3, 4, 127, 128, 252, 255 };
    unsigned char *copy = md_malloc(md_alloc_default(), sizeof(sample));
    size_t n_faults = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(sample); i++) {
        for (size_t k = 0; k < MD_COUNT(values); k++) {
            md_fb fb;

            memcpy(copy, sample, sizeof(sample));
            copy[i] = values[k];
            read_all(&fb, root_of(&fb, copy, sizeof(sample)));
            n_faults += fb.status != MD_OK;
        }
    }
    assert_true(n_faults > 100);
    md_free(md_alloc_default(), copy);
}

typedef struct fault_case {
    size_t at;
    uint32_t value;
    const char *text;
} fault_case;

static void test_flatbuf__says_what_is_wrong(void **state)
{
    static const fault_case cases[] = {
        { 0, 1000, "test: offset 1000 at byte 0 leaves the 80 bytes" },
        { 0, 0, "test: offset 0 at byte 0 leaves the 80 bytes" },
        { 4, 0, "test: no identifier 'TEST'" },
        { 24, 0x7fffffff, "test: table at byte 24 has its vtable at" },
        { 8, 0x00180011, "leaves the 80 bytes" },
        { 48, 0x40000000, "test: vector at byte 48 of 1073741824 elements" },
        { 64, 3, "test: text at byte 64 has no end" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const fault_case *c = &cases[i];
        unsigned char copy[sizeof(sample)];
        md_error err = MD_ERROR_INIT;
        md_fb fb;

        memcpy(copy, sample, sizeof(sample));
        for (size_t k = 0; k < 4; k++)
            copy[c->at + k] = (unsigned char)(c->value >> 8 * k);
        if (c->at == 64) /* no NUL within the text's length */
            copy[71] = 'x';
        read_all(&fb, root_of(&fb, copy, sizeof(copy)));
        assert_md_fails(md_fb_check(&fb, &err), MD_CORRUPT, &err, c->text);
    }
}

/* A table that a vector names four million times is no long job. */
static void test_flatbuf__counts_tables(void **state)
{
    md_fb fb;
    md_fb_table t = root_of(&fb, sample, sizeof(sample));
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (uint32_t i = 0; i <= MD_FB_TABLES_MAX; i++)
        (void)md_fb_sub(&t, 3);
    assert_md_fails(md_fb_check(&fb, &err), MD_TOO_LARGE, &err,
                    "test: more than 4194304 tables");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flatbuf__reads_fields),
        cmocka_unit_test(test_flatbuf__absent_is_default),
        cmocka_unit_test(test_flatbuf__cut_short),
        cmocka_unit_test(test_flatbuf__any_byte),
        cmocka_unit_test(test_flatbuf__says_what_is_wrong),
        cmocka_unit_test(test_flatbuf__counts_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
