#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "formats/safetensors.h"

static md_arena arena;

static int setup(void **state)
{
    (void)state;
    md_arena_init(&arena, md_alloc_default(), 16 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_arena_release(&arena);
    return 0;
}

/* A file of that header and n bytes 0, 1, 2, ... */
static size_t make(unsigned char *out, const char *header, size_t n)
{
    size_t size = strlen(header);

    for (unsigned i = 0; i < 8; i++)
        out[i] = (unsigned char)(size >> (8 * i));
    memcpy(out + 8, header, size);
    for (size_t i = 0; i < n; i++)
        out[8 + size + i] = (unsigned char)i;
    return 8 + size + n;
}

static void test_safetensors__reads(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]},"
        "\"a\":{\"dtype\":\"I16\",\"shape\":[2,1],\"data_offsets\":[0,4]}}  ";
    md_error err = MD_ERROR_INIT;
    unsigned char file[512];
    md_safetensors st;
    size_t n = make(file, header, 7);

    (void)state;
    assert_true(md_safetensors_probe(file, n));
    assert_md_ok(md_safetensors_read(&st, file, n, &arena, &err), &err);
    assert_int_equal(st.n, 2);
    assert_string_equal(st.format, "pt");
    assert_string_equal(st.tensors[0].name, "a"); /* as they lie */
    assert_int_equal(st.tensors[0].t.shape.rank, 2);
    assert_int_equal(st.tensors[0].t.dtype, MD_DTYPE_I16);
    assert_ptr_equal(st.tensors[1].t.data, file + n - 3);
}

static void test_safetensors__refuses(void **state)
{
    static const struct {
        const char *header;
        size_t n;
        const char *says;
    } cases[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
          "its shape and type need 8" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
          "[0, 8) of 4 bytes" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          4, "overlap or leave holes" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
          "begins at 4, 0 expected" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8,
          "end at 4 of 8" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
          "\"data_offsets\":[0,0]}}",
          0, "more elements" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,0]}}",
          0, "-1" },
        { "{\"a\":{\"dtype\":\"Q7\",\"shape\":[],\"data_offsets\":[0,0]}}", 0,
          "has type 'Q7'" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0,
          "lacks its data_offsets" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
          "\"data_offsets\":[0,1]}}",
          1, "more than 8 axes" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
          "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
          0, "comes twice" },
        { "{\"a\":3}", 0, "JSON at byte" },
        { "[]", 0, "JSON at byte" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        unsigned char file[512];
        md_safetensors st;
        size_t n = make(file, cases[i].header, cases[i].n);
        md_status s = md_safetensors_read(&st, file, n, &arena, &err);

        assert_md_fails(s, err.status, &err, cases[i].says);
        assert_int_not_equal(s, MD_OK);
    }
}

static void test_safetensors__bounds_its_header(void **state)
{
    static const unsigned char file[10] = { 0, 0, 0, 0, 0, 1, 0, 0, '{', '}' };
    md_error err = MD_ERROR_INIT;
    md_safetensors st;

    (void)state;
    assert_true(md_safetensors_probe(file, sizeof(file)));
    assert_md_fails(md_safetensors_read(&st, file, sizeof(file), &arena, &err),
                    MD_CORRUPT, &err,
                    "header of 1099511627776 bytes in a file of 10");
    assert_md_fails(md_safetensors_read(&st, file, 5, &arena, &err), MD_CORRUPT,
                    &err, "5 bytes");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors__reads),
        cmocka_unit_test(test_safetensors__refuses),
        cmocka_unit_test(test_safetensors__bounds_its_header),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
